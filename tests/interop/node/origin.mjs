// A server of HTTP/1 and HTTP/2 that does what paths say; prints its port.
//   node origin.mjs http1|h2c|h2 [CERTIFICATE KEY]
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";

const [protocol, certificate, key] = process.argv.slice(2);
const started = new Set();
const cancelled = new Set();

const paths = {
  // What came goes back, as it comes; so do trailers, with the digest of what was between.
  echo(request, response) {
    const digest = createHash("sha256");
    response.writeHead(200, { "content-type": "application/octet-stream", trailer: "x-digest, x-came" });
    request.on("data", (data) => digest.update(data));
    request.on("end", () => {
      response.addTrailers({ "x-digest": digest.digest("hex"), "x-came": request.trailers["x-sent"] ?? "nothing" });
      response.end();
    });
    request.pipe(response, { end: false });
  },
  // The number of bytes, and their digest.
  digest(request, response) {
    const digest = createHash("sha256");
    let length = 0;
    request.on("data", (data) => {
      digest.update(data);
      length += data.length;
    });
    request.on("end", () => response.end(`${length} ${digest.digest("hex")}`));
  },
  bytes(_, response, count) {
    response.writeHead(200, { "content-length": count });
    let left = Number(count);
    const more = () => {
      while (left > 0) {
        const size = Math.min(left, 65536);
        left -= size;
        if (!response.write(Buffer.alloc(size, "b"))) return response.once("drain", more);
      }
      response.end();
    };
    more();
  },
  hints(_, response) {
    response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
    response.writeHead(200, { "content-length": 6 });
    response.end("hinted");
  },
  // What it was asked, as it came.
  asked(request, response) {
    const { method, url, headers, httpVersion } = request;
    response.writeHead(200, { "content-type": "application/json", "set-cookie": ["a=1", "b=2; Path=/"] });
    response.end(JSON.stringify({ method, url, headers, version: httpVersion }));
  },
  // Says something, and then nothing until the other side is gone.
  hangs(request, response, name) {
    started.add(name);
    request.on("error", () => {});
    response.on("close", () => cancelled.add(name));
    response.writeHead(200, { "x-hangs": name });
    response.write("some");
  },
  silent(request, response, name) {
    started.add(name);
    request.on("error", () => {});
    response.on("close", () => cancelled.add(name));
  },
  started: (_, response, name) => response.end(String(started.has(name))),
  cancelled: (_, response, name) => response.end(String(cancelled.has(name))),
  // Breaks off in the middle of a body whose length it has told.
  breaks(_, response) {
    response.writeHead(200, { "content-length": 1000 });
    response.write("some", () => (response.stream ? response.stream.close(2) : response.socket.destroy()));
  },
  slow(_, response, milliseconds) {
    setTimeout(() => response.end("slow"), Number(milliseconds));
  },
  status(_, response, status) {
    response.writeHead(Number(status));
    response.end();
  },
};

function serve(request, response) {
  response.on("error", () => {});
  const [, name, argument] = request.url.split("?")[0].split("/");
  if (Object.hasOwn(paths, name)) return paths[name](request, response, argument);
  response.writeHead(404);
  response.end("there is no such path");
}

// Nothing of its own ends what a case keeps open.
const forever = { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 };
const tls = certificate && { cert: readFileSync(certificate), key: readFileSync(key), allowHTTP1: true };
const server = {
  http1: () => http.createServer(forever, serve),
  h2c: () => http2.createServer(serve),
  h2: () => http2.createSecureServer(tls, serve),
}[protocol]();
server.on("sessionError", () => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
