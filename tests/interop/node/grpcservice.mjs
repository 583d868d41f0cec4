// `interop.Echo`, of which ../over_grpc/servers.py says what its methods do. Messages are bytes.
const same = (bytes) => bytes;

function method(name, requestStream, responseStream) {
  const path = `/interop.Echo/${name}`;
  const codec = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
  return [name, { path, requestStream, responseStream, ...codec }];
}

export const service = Object.fromEntries([
  ...["Unary", "Metadata", "Fail", "Hang", "Cancelled"].map((name) => method(name, false, false)),
  ...["Count", "Watch"].map((name) => method(name, false, true)),
  method("Collect", true, false),
  method("Talk", true, true),
]);

// No bounds, so that they are not what is tested.
export const options = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
