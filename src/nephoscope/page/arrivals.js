/** How pictures are added: chosen, dropped, pasted, the sample, or a day from NASA Worldview. */

import { worldviewForm } from './place.js';

const SAMPLE = 'synthetic_sample.jpg';

const $ = (id) => document.getElementById(id);

/**
 * @param {{files: (files: File[]) => void, address: (name: string, address: string) => void,
 *   overpass: (overpass: import('./days.js').Overpass) => void}} handlers - called with files, with the name and
 *   address of a picture that the engine has, and with what to fetch from NASA Worldview.
 * @returns {(service: object) => void} called with the JSON of `/api/v1/worldview`.
 */
export function watchArrivals({ files, address, overpass }) {
  const add = (list) => {
    if (list.length) files([...list]);
  };
  $('choose').addEventListener('click', () => $('files').click());
  $('files').addEventListener('change', () => {
    add($('files').files);
    $('files').value = ''; // the same file may be chosen again
  });
  $('sample').addEventListener('click', () => address(SAMPLE, SAMPLE));
  document.addEventListener('paste', (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    add(event.clipboardData.files);
  });
  const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
  window.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    $('drop-here').hidden = false;
  });
  window.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) $('drop-here').hidden = true;
  });
  window.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    $('drop-here').hidden = true;
    add(event.dataTransfer.files);
  });
  $('add').addEventListener('click', () => {
    $('adding').append($('start')); // the same controls, in the dialog
    $('adding').showModal();
  });
  return worldviewForm($('worldview'), overpass);
}
