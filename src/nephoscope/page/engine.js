/**
 * What finds patterns for the page. Here it is the server that sent the page; a site without a server has
 * another file of this name, which exports the engine that runs in the browser.
 *
 * @typedef {object} Engine
 * @property {() => Promise<State>} begin - what the page must know before anything else.
 * @property {() => Promise<object[]>} models - the cards of its models, the default one first.
 * @property {() => Promise<boolean>} isThere - whether it answers again, after it was gone.
 * @property {() => Promise<object>} worldview - the JSON of `/api/v1/worldview`.
 * @property {(address: string, name: string, waiting: Waiting) => Promise<File>} fetchPicture - a picture that it
 *   has, or gets from NASA Worldview, by an address relative to the page.
 * @property {(picture: Picture, model: string, waiting: Waiting) => Promise<EngineResult>} segment - by a model's name;
 *   the default model if empty.
 * @property {(format: Format, picture: Picture, model: string, rules: object) => Promise<Blob>} render - the file
 *   of a picture in a format, by the rules of the model's card with these changes.
 * @property {(picture: Picture, annotator: string, texts: Object<string, string>) => Promise<void>} [saveLabels] - keeps
 *   run lengths by pattern, where `State.labels` says so.
 * @property {(annotator: string, image: string) => Promise<{pictures: number, own: number, labels: object | null}>}
 *   [labelled] - how many it has, of anyone and of one person, and what that person drew in a picture.
 * @property {string} privacy - what happens to pictures, for the page's foot.
 * @property {string[]} kinds - of picture files that it reads, for people.
 * @property {boolean} hasApi - whether programs can use it, too.
 *
 * @typedef {object} State
 * @property {string} nephoscope - version.
 * @property {import('./panel.js').Pattern[]} patterns
 * @property {object} limits - of the API; empty where there are none.
 * @property {Format[]} formats - that it renders.
 * @property {boolean} [labels] - whether it collects labels.
 *
 * @typedef {object} Format
 * @property {string} name
 * @property {string} label
 * @property {string} kind - type of the file, for people.
 * @property {string} description
 * @property {string} media_type
 * @property {string} ending - of one picture's file.
 * @property {string} file_name - of the file of several pictures; empty where a file holds one.
 * @property {string[]} needs - what must be known of the picture: `place`, `day`.
 *
 * @typedef {import('./pictures.js').Picture} Picture
 * @typedef {{signal: AbortSignal, onBusy: (seconds: number) => void}} Waiting
 *
 * @typedef {object} EngineResult
 * @property {object} about - name, size, satellite, date, bounds, patterns with their scores, rules.
 * @property {number} width - of the rules' grid, in pixels.
 * @property {number} height
 * @property {Uint8Array[]} values - one array per pattern: probabilities in steps of 1/200, row by row.
 * @property {Uint8Array} valid - 1 where there is data.
 * @property {Blob | null} preview - the picture as a browser can show it, where it cannot show the file.
 */

export { ServerEngine as PageEngine } from './server.js';
