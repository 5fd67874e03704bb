/** The ways in: chosen, dropped, pasted, the sample, a day from NASA Worldview; before and beside other pictures. */

import { worldviewForm } from './place.js';

const SAMPLE = 'synthetic_sample.jpg';

const $ = (id) => document.getElementById(id);

/**
 * @param {{files: (files: File[]) => void, address: (name: string, address: string) => void}} told - of files, and
 *   of what this server has or gets.
 * @returns {(service: object) => void} to be told what `/api/v1/worldview` answered.
 */
export function watchArrivals({ files, address }) {
  const come = (list) => {
    if (list.length) files([...list]);
  };
  $('choose').addEventListener('click', () => $('files').click());
  $('files').addEventListener('change', () => {
    come($('files').files);
    $('files').value = ''; // the same file may be chosen again
  });
  $('sample').addEventListener('click', () => address(SAMPLE, `/${SAMPLE}`));
  document.addEventListener('paste', (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    come(event.clipboardData.files);
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
    come(event.dataTransfer.files);
  });
  $('add').addEventListener('click', () => {
    $('adding').append($('start')); // the same ways in, in another place
    $('adding').showModal();
  });
  return worldviewForm($('worldview'), address);
}
