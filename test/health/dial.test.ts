import { describe, expect, test } from "bun:test";
import { converse } from "../../src/health/dial.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };

/** Accepts one connection and answers how reading it to its end went, as a simple app would find it. */
const simpleApp = `
import socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
connection, _ = server.accept()
sys.stdin.readline()
try:
    while connection.recv(4096): pass
    connection.sendall(b"late")
    print("ended", flush=True)
except OSError as error:
    print(error, flush=True)
`;

describe("a connection that a check has opened", () => {
  test.each([
    ["unused", "", false],
    ["used", "GET / HTTP/1.1\r\n\r\n", true],
  ])("and left %s ends in peace: an app may die of a reset", async (_, opening, admitted) => {
    const app = Bun.spawn(["python3", "-c", simpleApp], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    let printed = "";
    const reading = (async () => {
      for await (const chunk of app.stdout) printed += new TextDecoder().decode(chunk);
    })();
    await until("the app listens", () => printed.includes("\n"));
    const talk = {
      opening,
      admit: async () => admitted,
      connectMs: 5000,
      listenMs: 1,
      onRefused: (reason: string) => reason,
      onUnused: () => "done",
      onData: () => undefined,
      onClosed: () => "closed",
      onLimit: () => "done",
    };
    expect(await converse({ host: "127.0.0.1", port: Number(printed.trim()) }, talk, c)).toBe("done");
    app.stdin.write("read it now\n");
    app.stdin.end();
    await reading;
    expect(printed.trim().split("\n")[1]).toBe("ended");
  });
});
