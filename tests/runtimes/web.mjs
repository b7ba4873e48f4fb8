// Runs files in onnxruntime-web on the CPU (WebAssembly): node web.mjs JOBS.json
// A job: {model, inputs: {name: {type, dims, path}}, outputs: {name: path}}; arrays are raw little-endian bytes.
import { readFileSync, writeFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
const KINDS = { float32: Float32Array, int64: BigInt64Array };

function tensor({ type, dims, path }) {
  const bytes = readFileSync(path);
  const data = new KINDS[type](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  return new ort.Tensor(type, data, dims);
}

const sessions = {};
for (const { model, inputs, outputs } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  const options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
  sessions[model] ??= await ort.InferenceSession.create(model, options);
  const feeds = Object.fromEntries(Object.entries(inputs).map(([name, given]) => [name, tensor(given)]));
  const results = await sessions[model].run(feeds);
  for (const [name, path] of Object.entries(outputs)) {
    const { data } = results[name];
    writeFileSync(path, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
}
console.log(ort.env.versions.web);
