// A WebSocket server of npm's ws: says its port, and does what peers of Python do in through/websocket.py.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const server = createServer((_, response) => response.writeHead(426).end());
const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: 0,
  perMessageDeflate: process.argv[2] !== "plain",
  handleProtocols: (offered) => (offered.has("chat.v2") ? "chat.v2" : false),
});
sockets.on("headers", (headers) => headers.push("X-Served-By: ws"));

server.on("upgrade", (request, socket, head) => {
  socket.on("error", () => {});
  if (request.url === "/forbidden") {
    const body = "not you";
    socket.end(`HTTP/1.1 401 Unauthorized\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
    return;
  }
  sockets.handleUpgrade(request, socket, head, (peer) => serve(peer, request.url));
});

function serve(peer, path) {
  peer.on("error", () => {});
  if (path === "/greets") {
    peer.send("welcome");
    peer.send(Buffer.alloc(1 << 20, "g"));
  }
  peer.on("message", (data, isBinary) => {
    const text = isBinary || data.length > 20 ? "" : data.toString();
    if (text === "close me") peer.close(4002, "as asked");
    else if (text === "drop me") peer.terminate();
    else peer.send(data, { binary: isBinary });
  });
}

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
