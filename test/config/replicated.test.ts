import { describe, expect, test } from "bun:test";
import type { Settings } from "../../src/config/load.ts";
import { parsePorts } from "../../src/config/ports.ts";
import { proxyProblems, toReplicated } from "../../src/config/replicated.ts";

function problemsOf(settings: Settings, killOldDelay?: string): string[] {
  const { port } = settings;
  const { specs } = parsePorts(Array.isArray(port) ? port : []);
  return proxyProblems(settings, specs, killOldDelay).map(({ message }) => message);
}

describe("what goes with --proxy", () => {
  test.each<[string, Settings]>([
    ["nothing of it", { port: ["8000"] }],
    ["one port", { proxy: true, port: ["8000"], replicas: "3", "drain-time": "0" }],
    ["two ports with their variables", { proxy: true, port: ["9000,8000"], "port-env": "PORT,ADMIN_PORT" }],
    [
      "one port with a variable of another name",
      { proxy: true, port: ["[::1]:8000"], "port-env": "WEB_PORT" },
    ],
  ])("%s", (_, settings) => {
    expect(problemsOf(settings)).toEqual([]);
  });

  test.each<[string, Settings, string | undefined, string[]]>([
    [
      "its flags without it",
      { port: ["8000"], "port-env": "PORT", replicas: "2", "drain-time": "1s", "proxy-protocol": "v1" },
      undefined,
      [
        "--port-env is about the proxy, and there is none",
        "--replicas is about the proxy, and there is none",
        "--drain-time is about the proxy, and there is none",
        "--proxy-protocol is about the proxy, and there is none",
      ],
    ],
    ["no port", { proxy: true, port: [] }, undefined, ["--proxy has no port to listen on"]],
    ["a socket", { proxy: true, port: ["unix:/a"] }, undefined, ["--proxy does not listen on unix sockets"]],
    [
      "one port twice",
      { proxy: true, port: ["127.0.0.1:80,[::1]:80"] },
      undefined,
      ["port 80 is given twice"],
    ],
    [
      "too few variables",
      { proxy: true, port: ["80,81"] },
      undefined,
      ["--port-env names one variable for 2 ports"],
    ],
    [
      "too many variables",
      { proxy: true, port: ["80"], "port-env": "A,B" },
      undefined,
      ["--port-env names 2 variables for one port"],
    ],
    [
      "checks of another kind",
      { proxy: true, port: ["80"], rehearse: true, "health-passes": "2" },
      undefined,
      ["--rehearse does not go with --proxy", "--health-passes does not go with --proxy"],
    ],
    ["KILL_OLD_DELAY", { proxy: true, port: ["80"] }, "5", ["KILL_OLD_DELAY has no effect with --proxy"]],
  ])("not %s", (_, settings, killOldDelay, messages) => {
    expect(problemsOf(settings, killOldDelay)).toEqual(messages);
  });
});

test("each port has its own variable, in the order of the numbers", () => {
  const { specs } = parsePorts(["9000", "127.0.0.1:8000"]);
  const { ports } = toReplicated({ proxy: true, "port-env": ["PORT", "ADMIN_PORT"] }, specs) ?? { ports: [] };
  expect(ports).toEqual([
    { host: "127.0.0.1", port: 8000, variable: "PORT" },
    { host: null, port: 9000, variable: "ADMIN_PORT" },
  ]);
});

test("a health command goes with the proxy", () => {
  const settings = { proxy: true, port: ["8000"], "health-cmd": "./check" };
  expect(problemsOf(settings)).toEqual([]);
  const health = { path: null, command: "./check" };
  expect(toReplicated({ proxy: true, "health-cmd": "./check" }, [])?.health).toMatchObject(health);
});
