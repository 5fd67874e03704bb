/** The engine behind `nephoscope serve`: sends pictures to the server's API. */

import { readNpz } from './npz.js';
import { ask, askJson, fileName, takeTokenFromAddress } from './requests.js';

/** @implements {import('./engine.js').Engine} */
export class ServerEngine {
  privacy = 'The server stores no pictures; this browser keeps them until they are removed';
  hasApi = true;
  kinds = ['JPEG', 'PNG', 'TIFF', 'WebP'];

  constructor() {
    takeTokenFromAddress();
  }

  async begin() {
    const state = await askJson('api/v1/server');
    if (state.labels) this.privacy = 'The server keeps pictures with the labels that you save, and no others';
    return state;
  }

  async models() {
    return (await askJson('api/v1/models')).models;
  }

  async isThere() {
    const answer = await fetch('readyz').catch(() => null);
    return Boolean(answer?.ok);
  }

  worldview() {
    return askJson('api/v1/worldview');
  }

  async fetchPicture(address, name, waiting) {
    const answer = await ask(address, waiting);
    const blob = await answer.blob();
    return new File([blob], fileName(answer, name), { type: blob.type });
  }

  async segment({ file, name, stated, shown }, model, waiting) {
    const query = queryOf(model, stated, { steps: 200, ...(!shown && { picture: true }) });
    const answer = await ask(`api/v1/segment?${query}`, {
      ...waiting, method: 'POST', headers: { Accept: 'application/x-npz' }, body: formOf(file, name),
    });
    return unpack(await answer.arrayBuffer());
  }

  async render(format, { file, name, stated }, model, rules) {
    const query = queryOf(model, stated, Object.keys(rules).length ? { rules: JSON.stringify(rules) } : {});
    const answer = await ask(`api/v1/segment?${query}`, {
      method: 'POST', headers: { Accept: format.media_type }, body: formOf(file, name),
    });
    return answer.blob();
  }

  async saveLabels({ file, name, stated: { bounds, day } }, annotator, texts) {
    const form = formOf(file, name);
    form.append('labels', new Blob([JSON.stringify(texts)], { type: 'application/json' }), 'labels.json');
    const query = new URLSearchParams({ annotator, ...(bounds && { bounds }), ...(day && { day }) });
    await ask(`api/v1/labels?${query}`, { method: 'POST', body: form });
  }

  labelled(annotator, image) {
    return askJson(`api/v1/labels?${new URLSearchParams({ annotator, image })}`);
  }
}

function queryOf(model, stated, more) {
  return new URLSearchParams({ ...(model && { model }), ...stated, ...more });
}

function formOf(file, name) {
  const form = new FormData();
  form.append('picture', file, name);
  return form;
}

/** @param {ArrayBuffer} buffer - an NPZ file as the API documents it. */
async function unpack(buffer) {
  const members = await readNpz(buffer);
  const { shape: [count, height, width], data } = members.get('probabilities');
  const size = width * height;
  const preview = members.get('picture');
  return {
    about: JSON.parse(new TextDecoder().decode(members.get('about').data)),
    width,
    height,
    values: Array.from({ length: count }, (_, index) => data.subarray(index * size, (index + 1) * size)),
    valid: members.get('valid').data,
    preview: preview ? new Blob([preview.data], { type: 'image/jpeg' }) : null,
  };
}
