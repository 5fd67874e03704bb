/** Loads models and runs them by ONNX Runtime Web. */

import { through } from '../streams.js';

const RUNTIME = new URL('../../runtime/', import.meta.url);
const MODELS = new URL('../../models/', import.meta.url);

let runtime = null;

/** The runtime, from this site's own files. */
function loadRuntime() {
  runtime ??= start().catch((error) => {
    runtime = null;
    throw error;
  });
  return runtime;
}

async function start() {
  const [ort, wasm] = await Promise.all([
    import(new URL('ort.wasm.min.mjs', RUNTIME).href),
    inflated(new URL('ort-wasm-simd-threaded.wasm.gz', RUNTIME)),
  ]);
  Object.assign(ort.env.wasm, {
    wasmBinary: wasm,
    wasmPaths: { mjs: new URL('ort-wasm-simd-threaded.mjs', RUNTIME).href },
    numThreads: self.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1,
  });
  return ort;
}

/**
 * Load a model.
 * @param {import('./worker.js').ModelFile} model
 * @returns {Promise<import('./answer.js').LoadedModel>}
 * @throws {Error} it cannot be fetched, or not be run.
 */
export async function loadModel({ card, file }) {
  const [ort, content] = await Promise.all([loadRuntime(), inflated(new URL(file, MODELS))]);
  const session = await ort.InferenceSession.create(content, {
    executionProviders: ['wasm'], graphOptimizationLevel: 'all',
  });
  const [height, width] = card.input_size;
  return {
    card,
    async run(tile) {
      const pictures = new ort.Tensor('uint8', tile, [1, height, width, 3]);
      const outputs = await session.run({ pictures });
      return { fields: outputs.probabilities.data, presence: outputs.presence?.data ?? null };
    },
  };
}

/** The content of a file that is stored compressed; some servers have inflated it on the way. */
async function inflated(address) {
  const content = new Uint8Array(await (await fetched(address)).arrayBuffer());
  if (content[0] !== 0x1f || content[1] !== 0x8b) return content;
  return through(content, new DecompressionStream('gzip'));
}

async function fetched(address) {
  const answer = await fetch(address).catch(() => null);
  if (!answer?.ok) {
    throw new Error(`${address.pathname.split('/').at(-1)} could not be loaded; is the network gone?`);
  }
  return answer;
}
