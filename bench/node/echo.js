"use strict";
// A TCP echo server.
const net = require("net");

const server = net.createServer((client) => {
  client.on("data", (bytes) => client.write(bytes));
  client.on("error", () => client.destroy());
});

server.listen({ host: "127.0.0.1", port: 0, backlog: 511 }, () => {
  console.log(`port=${server.address().port}`);
});
