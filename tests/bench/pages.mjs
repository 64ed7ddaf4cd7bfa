// Serves a folder of page files on a free loopback port: as close to nothing as a real server gets, so that the client
// is what is measured. Ends when its standard input does.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const folder = process.argv[2];
const server = createServer((request, response) => {
  const page = Number(new URL(request.url, "http://x").searchParams.get("page") ?? 0);
  const file = join(folder, `${page}.json`);
  response.writeHead(200, { "content-type": "application/json", "content-length": statSync(file).size });
  createReadStream(file, { highWaterMark: 1 << 20 }).pipe(response);
});
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` }));
});
process.stdin.on("end", () => process.exit(0)).resume();
