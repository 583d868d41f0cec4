// grpc-js as a server. Prints its port.
//   node grpcserver.mjs [CERTIFICATE KEY]
import { once } from "node:events";
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import { options, service } from "./grpcservice.mjs";

let cancelled = 0;
let remaining = "none";

function untilCancelled(call) {
  call.on("cancelled", () => (cancelled += 1));
}

const methods = {
  Unary(call, answer) {
    answer(null, call.request);
  },

  Metadata(call, answer) {
    const first = new grpc.Metadata();
    const last = new grpc.Metadata();
    for (const name of Object.keys(call.metadata.getMap()).filter((name) => name.startsWith("x-"))) {
      const late = name.endsWith("-bin") ? `${name.slice(0, -4)}-late-bin` : `${name}-late`;
      for (const value of call.metadata.get(name)) {
        first.add(name, value);
        last.add(late, value);
      }
    }
    call.sendMetadata(first);
    answer(null, call.request, last);
  },

  async Collect(call, answer) {
    let [count, size] = [0, 0];
    for await (const message of call) [count, size] = [count + 1, size + message.length];
    answer(null, Buffer.from(`${count} ${size}`));
  },

  async Count(call) {
    const [count, size] = call.request.toString().split(" ").map(Number);
    for (let number = 0; number < count; number += 1) {
      if (!call.write(Buffer.from(`${number}${".".repeat(size)}`))) await once(call, "drain");
    }
    call.end();
  },

  // A loop over what comes would close what goes, too.
  Talk(call) {
    call.on("data", (message) => call.write(message));
    call.on("end", () => call.end());
  },

  Fail(call, answer) {
    const metadata = new grpc.Metadata();
    metadata.add("grpc-status-details-bin", Buffer.from("\x08\x05\x12\x02no\x00\xff", "latin1"));
    answer({ code: grpc.status.NOT_FOUND, details: call.request.toString(), metadata });
  },

  Hang(call) {
    remaining = (call.getDeadline() - Date.now()) / 1000;
    untilCancelled(call);
  },

  Watch(call) {
    call.write(Buffer.from("first"));
    untilCancelled(call);
  },

  Cancelled(call, answer) {
    answer(null, Buffer.from(`${cancelled} ${remaining}`));
  },
};

const [certificate, key] = process.argv.slice(2);
const pair = () => ({ cert_chain: readFileSync(certificate), private_key: readFileSync(key) });
const credentials = key ? grpc.ServerCredentials.createSsl(null, [pair()]) : grpc.ServerCredentials.createInsecure();
const server = new grpc.Server(options);
server.addService(service, methods);
server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
  if (error) throw error;
  console.log(port);
});
