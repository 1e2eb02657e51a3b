import { describe, expect, test } from "bun:test";
import { type Endpoints, proxyHeader } from "../../src/proxy/proxy-protocol.ts";
import { freePort } from "../support/free-port.ts";
import { startBlackHole } from "../support/tcp-black-hole.ts";
import { connectPeer, startPeerServer } from "../support/tcp-peer.ts";
import { behind, startProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const ends = (sourceHost: string, targetHost: string, sourcePort = 56324, targetPort = 443): Endpoints => ({
  sourceHost,
  sourcePort,
  targetHost,
  targetPort,
});

const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const signature = "0d0a0d0a000d0a515549540a";

describe("version 1", () => {
  test.each<[Endpoints | null, string]>([
    // The examples of section 2.1.
    [ends("192.168.0.1", "192.168.0.11"), "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"],
    [
      ends("255.255.255.255", "255.255.255.255", 65535, 65535),
      "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
    ],
    [
      ends(
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        65535,
        65535,
      ),
      "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
    ],
    [null, "PROXY UNKNOWN\r\n"],
    [ends("2001:db8::1", "2001:db8::2"), "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"],
    [ends("::ffff:192.0.2.1", "::ffff:192.0.2.2"), "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"],
    [ends("::FFFF:192.0.2.1", "192.0.2.2"), "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"],
    [ends("fe80::1%eth0", "fe80::2%eth0"), "PROXY TCP6 fe80::1 fe80::2 56324 443\r\n"],
    [ends("192.0.2.1", "2001:db8::2"), "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 56324 443\r\n"],
  ])("%p: %j", (endpoints, header) => {
    const bytes = proxyHeader("v1", endpoints);
    expect(text(bytes)).toBe(header);
    expect(bytes.length).toBeLessThanOrEqual(107);
  });
});

describe("version 2", () => {
  test.each<[Endpoints | null, string]>([
    [ends("192.0.2.1", "198.51.100.2"), `${signature}2111000cc0000201c6336402dc0401bb`],
    [ends("::ffff:192.0.2.1", "::ffff:198.51.100.2"), `${signature}2111000cc0000201c6336402dc0401bb`],
    [
      ends("2001:db8::1", "2001:db8::2"),
      `${signature}2121002420010db800000000000000000000000120010db8000000000000000000000002dc0401bb`,
    ],
    [null, `${signature}20000000`],
  ])("%p: %s", (endpoints, header) => {
    expect(hex(proxyHeader("v2", endpoints))).toBe(header);
  });
});

describe("a backend", () => {
  test.each<["v1" | "v2", string, string | null]>([
    ["v1", "127.0.0.1", "127.0.0.1"],
    ["v1", "127.0.0.1", null],
    ["v1", "::1", null],
    ["v2", "127.0.0.1", null],
    ["v2", "::1", "::1"],
  ])(
    "sees the %s header of a client at %s before its first byte (port on %p)",
    async (version, from, host) => {
      using backend = startPeerServer();
      const port = freePort();
      await using at = startProxy({ listen: [{ host, port }], proxyProtocol: version });
      const client = await connectPeer(port, { host: from });
      const sourcePort = client.socket?.localPort ?? 0;
      client.send("hello");
      at.proxy.admit("a", behind(port, backend.port));
      const header = text(proxyHeader(version, ends(from, from, sourcePort, port)));
      await until("header and bytes", () => backend.peers[0]?.text === `${header}hello`);
      client.reset();
    },
  );

  test("sees it before what the client said while another one did not answer", async () => {
    using silent = startBlackHole();
    using backend = startPeerServer();
    await using at = startProxy({ proxyProtocol: "v1", timing: { connectMs: 100 } });
    at.admit("a", silent.port, backend.port);
    const client = await connectPeer(at.port);
    client.send("hello");
    await until("all of it", () => backend.peers[0]?.text.endsWith("hello"));
    expect(backend.peers[0]?.text).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nhello$/);
    client.reset();
  });

  test("sees it before the client says anything", async () => {
    using backend = startPeerServer();
    await using at = startProxy({ proxyProtocol: "v1" });
    at.admit("a", backend.port);
    const client = await connectPeer(at.port);
    await until("header", () => backend.peers[0]?.text.startsWith("PROXY TCP4 127.0.0.1 127.0.0.1 "));
    client.reset();
  });
});
