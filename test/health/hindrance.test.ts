import { describe, expect, test } from "bun:test";
import { join } from "node:path";

const asks = `${process.execPath} ${join(import.meta.dir, "../support/asks-from-here.ts")}`;
const mayOwnNetwork = Bun.spawnSync(["unshare", "--net", "true"]).exitCode === 0;

/** What was seen of an app that serves, of a port where nobody listens, and of a unix socket that is not there. */
function askWith(script: string, ...wrap: readonly string[]) {
  const { stdout, stderr } = Bun.spawnSync([...wrap, "/bin/sh", "-c", script]);
  const said = stdout.toString();
  if (!said.startsWith("{")) throw new Error(`asked nothing: ${said}${stderr.toString()}`);
  return JSON.parse(said);
}

describe("a check that can't connect", () => {
  test("because nobody listens has asked the app", () => {
    const { served, refused, unix } = askWith(`exec ${asks}`);
    expect(served).toMatchObject({ ok: true });
    expect(refused).toEqual({ ok: false, seen: "GET http://127.0.0.1:9/up: connection refused" });
    expect(unix).toEqual({
      ok: false,
      seen: "GET http://unix:/nowhere/app.sock:/up: cannot connect (ENOENT)",
    });
  });

  test("because this process has no descriptors left has asked nothing", () => {
    const unasked = { ok: false, unasked: true, seen: expect.stringContaining("(EMFILE)") };
    expect(askWith(`ulimit -n 100; exec ${asks} descriptors`)).toEqual({
      served: unasked,
      refused: unasked,
      unix: unasked,
      own: { kind: "asked", probed: unasked },
    });
  });

  test.if(mayOwnNetwork)("because this host has no local ports left has asked nothing", () => {
    const range = "ip link set lo up; echo '40000 40020' > /proc/sys/net/ipv4/ip_local_port_range";
    const { served, refused } = askWith(`${range}; exec ${asks} ports 40000 40020`, "unshare", "--net");
    const unasked = { ok: false, unasked: true, seen: expect.stringContaining("(EADDRNOTAVAIL)") };
    expect({ served, refused }).toEqual({ served: unasked, refused: unasked });
  });

  test.if(mayOwnNetwork)("because this host's loopback is down has asked nothing", () => {
    const { served, refused } = askWith(`exec ${asks} no-network`, "unshare", "--net");
    const unasked = { ok: false, unasked: true, seen: expect.stringContaining("(ENETUNREACH)") };
    expect({ served, refused }).toEqual({ served: unasked, refused: unasked });
  });
});
