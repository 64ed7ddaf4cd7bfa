// What the evaluator asks of the world: requests, files and Parquet. M's evaluation is one straight line, so the work that
// Node does later is done by a second thread that is waited for.
import { readFileSync } from "node:fs";
import { MessageChannel, Worker, isMainThread, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";

const WAIT_MAX_MS = 120_000;

/** Numbers that a double holds exactly, else the BigInt. */
const number = (value) => (typeof value === "bigint" && value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value);

async function parquet(bytes) {
  const { parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import("hyparquet");
  const { compressors } = await import("hyparquet-compressors");
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const parsers = {
    timestampFromMilliseconds: (value) => ({ moment: "datetime", micros: value * 1000n }),
    timestampFromMicroseconds: (value) => ({ moment: "datetime", micros: value }),
    timestampFromNanoseconds: (value) => ({ moment: "datetime", micros: value / 1000n }),
    dateFromDays: (value) => ({ moment: "date", micros: BigInt(value) * 86_400_000_000n }),
  };
  const metadata = await parquetMetadataAsync(file);
  const columns = parquetSchema(metadata).children.map(({ element }) => ({
    name: element.name,
    physical: element.type,
    converted: element.converted_type,
    logical: element.logical_type?.type,
    scale: element.scale,
  }));
  const rows = await parquetReadObjects({ file, metadata, compressors, parsers });
  return { columns, rows: rows.map((row) => columns.map(({ name }) => number(row[name] ?? null))) };
}

async function request(url) {
  const answer = await fetch(url, { redirect: "follow", signal: AbortSignal.timeout(WAIT_MAX_MS / 2) });
  return { status: answer.status, statusText: answer.statusText, bytes: new Uint8Array(await answer.arrayBuffer()) };
}

if (isMainThread === false && workerData?.isOutside) {
  const { port, signal } = workerData;
  parentPort.on("message", async ({ what, input }) => {
    try {
      port.postMessage({ value: await { request, parquet }[what](input) });
    } catch (error) {
      port.postMessage({ error: String(error.cause ?? error) });
    }
    Atomics.store(signal, 0, 1);
    Atomics.notify(signal, 0);
  });
}

let worker;

function ask(what, input) {
  if (!worker) {
    const { port1, port2 } = new MessageChannel();
    const signal = new Int32Array(new SharedArrayBuffer(4));
    const thread = new Worker(new URL(import.meta.url), { workerData: { isOutside: true, port: port2, signal }, transferList: [port2] });
    thread.unref();
    worker = { thread, port: port1, signal };
    port1.unref();
  }
  Atomics.store(worker.signal, 0, 0);
  worker.thread.postMessage({ what, input });
  if (Atomics.wait(worker.signal, 0, 0, WAIT_MAX_MS) === "timed-out") throw new Error(`no ${what} within ${WAIT_MAX_MS} ms`);
  const { value, error } = receiveMessageOnPort(worker.port).message;
  if (error !== undefined) throw new Error(error);
  return value;
}

export const outside = {
  request: (url) => ask("request", url),
  parquet: (bytes) => ask("parquet", bytes),
  file: (path) => new Uint8Array(readFileSync(path)),
};
