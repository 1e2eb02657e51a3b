import { describe, expect, test } from "bun:test";
import { portBindings, resolvePorts } from "../../../src/container/plan/port-mapping.ts";
import { parseRunOptions } from "../../../src/container/run-options/parse.ts";
import { directAddresses, joinAddresses, publishedAddresses } from "../../../src/replicas/ports.ts";

const none = { config: {} };
const open = (proxyPort: number, containerPort: number | null = null) => ({ proxyPort, containerPort });

describe("a proxy port leads to", () => {
  test("the container port that it names, whatever the image exposes", () => {
    expect(resolvePorts([open(8000, 8080)], { exposedPorts: [] }, none)).toEqual([
      { proxyPort: 8000, appPort: 8080 },
    ]);
  });

  test("the only port that the image exposes", () => {
    expect(resolvePorts([open(8000), open(8001, 9000)], { exposedPorts: [8080] }, none)).toEqual([
      { proxyPort: 8000, appPort: 8080 },
      { proxyPort: 8001, appPort: 9000 },
    ]);
  });

  test("the only TCP port that --expose names", () => {
    const { options } = parseRunOptions(["--expose", "7000", "--expose", "53/udp"]);
    expect(resolvePorts([open(8000)], { exposedPorts: [] }, options)).toEqual([
      { proxyPort: 8000, appPort: 7000 },
    ]);
  });

  test("the same container port as another one", () => {
    expect(resolvePorts([open(8000), open(8001)], { exposedPorts: [8080] }, none)).toEqual([
      { proxyPort: 8000, appPort: 8080 },
      { proxyPort: 8001, appPort: 8080 },
    ]);
  });

  test.each([
    [[], "--port 8000: the image exposes no TCP port", "name the container's port: --port 8000:8080"],
    [
      [9090, 8080],
      "--port 8000: the image exposes several TCP ports (8080, 9090)",
      "name the container's port: --port 8000:8080",
    ],
  ])("none that anybody could guess from EXPOSE %j", (exposedPorts, message, hint) => {
    const resolve = () => resolvePorts([open(8000)], { exposedPorts }, none);
    expect(resolve).toThrow(expect.objectContaining({ code: "config-invalid", message, hint }));
  });
});

test("each container port is published once, on a port of 127.0.0.1 that the engine chooses", () => {
  const ports = [
    { proxyPort: 8000, appPort: 8080 },
    { proxyPort: 8001, appPort: 8080 },
    { proxyPort: 8002, appPort: 9090 },
  ];
  const binding = [{ HostIp: "127.0.0.1", HostPort: "" }];
  expect(portBindings(ports)).toEqual({
    ExposedPorts: { "8080/tcp": {}, "9090/tcp": {} },
    PortBindings: { "8080/tcp": binding, "9090/tcp": binding },
  });
});

describe("a replica is reached", () => {
  const ports = [
    { proxyPort: 8000, appPort: 8080 },
    { proxyPort: 8001, appPort: 9090 },
  ];
  const published = (appPort: number, hostIp: string, hostPort = 32768) => ({
    appPort,
    hostIp,
    hostPort,
  });

  const container = {
    ports: [published(8080, "127.0.0.1", 32768), published(9090, "127.0.0.1", 32769)],
    addresses: ["172.17.0.2"],
  };
  const onHost = [
    [8000, [{ host: "127.0.0.1", port: 32768 }]],
    [8001, [{ host: "127.0.0.1", port: 32769 }]],
  ];
  const ofItsOwn = [
    [8000, [{ host: "172.17.0.2", port: 8080 }]],
    [8001, [{ host: "172.17.0.2", port: 9090 }]],
  ];

  test("on its published ports, and on its own address", () => {
    const onLoopback = publishedAddresses(container, ports);
    const direct = directAddresses(container, ports, { rootless: false });
    expect([...onLoopback] as unknown[]).toEqual(onHost);
    expect([...direct] as unknown[]).toEqual(ofItsOwn);
    expect(joinAddresses(direct, onLoopback).get(8001)).toEqual([
      { host: "172.17.0.2", port: 9090 },
      { host: "127.0.0.1", port: 32769 },
    ]);
  });

  test("never on the address of a rootless engine's container", () => {
    expect([...directAddresses(container, ports, { rootless: true }).values()]).toEqual([[], []]);
  });

  test.each([
    ["127.0.0.1", ["127.0.0.1"]],
    ["", ["127.0.0.1"]],
    ["0.0.0.0", ["127.0.0.1"]],
    ["::", ["::1"]],
    ["::1", ["::1"]],
    // Another host's way in, or nobody's.
    ["192.0.2.1", []],
  ])("where the engine says it is published on %j", (hostIp, hosts) => {
    const found = publishedAddresses({ ports: [published(8080, hostIp)] }, ports).get(8000);
    expect(found?.map(({ host }) => host)).toEqual(hosts);
  });

  test("nowhere while its ports have no number yet", () => {
    const starting = { ports: [published(8080, "127.0.0.1", 0)] };
    expect(publishedAddresses(starting, ports).get(8000)).toEqual([]);
  });
});
