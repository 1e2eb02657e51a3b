import { describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { familyOf } from "../../src/supervisor/accept-owner.ts";
import { askOwn } from "../../src/supervisor/probe-own.ts";
import type { ProcessStat } from "../../src/util/procfs.ts";
import { systemClock } from "../../src/util/time.ts";
import { AppHost, pidOf } from "../support/app-host.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };

function stat(pid: number, ppid: number, pgrp = pid, session = pgrp): ProcessStat {
  return { pid, ppid, pgrp, session, state: "S", startTicks: 1 };
}

describe("the family of a process", () => {
  test.each<[string, ProcessStat[], number[]]>([
    ["alone", [stat(10, 1)], [10]],
    ["its children, in its group", [stat(10, 1), stat(11, 10, 10)], [10, 11]],
    ["orphans of its group", [stat(10, 1), stat(11, 1, 10)], [10, 11]],
    ["another group of its session", [stat(10, 1), stat(11, 1, 11, 10)], [10, 11]],
    ["a grandchild with a session of its own", [stat(12, 11), stat(10, 1), stat(11, 10)], [10, 11, 12]],
    ["nobody else", [stat(10, 1), stat(20, 1), stat(21, 20)], [10]],
    ["once it is gone, what it left", [stat(11, 1, 10)], [10, 11]],
  ])("is %s", (_, processes, members) => {
    expect(familyOf(10, processes).toSorted((a, b) => a - b)).toEqual(members);
  });
});

/** Servers that inherit descriptor 3. */
const apps = {
  "accepts one after the other": `while (my $k = $s->accept) { answer($k) }`,
  "accepts in a forked child": `if (fork) { sleep 1000 } while (my $k = $s->accept) { answer($k) }`,
  "accepts in a child with a session of its own": `if (fork) { sleep 1000 } POSIX::setsid(); while (my $k = $s->accept) { answer($k) }`,
  "forks for each connection": `$SIG{CHLD} = 'IGNORE'; while (my $k = $s->accept) { if (!fork) { close $s; answer($k); exit } close $k }`,
  "takes only connections with data": `setsockopt($s, 6, 9, pack('i', 5)) or die; while (my $k = $s->accept) { answer($k) }`,
} as const;

const prologue = `#!/usr/bin/perl
use strict; use IO::Socket::INET; use POSIX ();
$SIG{PIPE} = 'IGNORE';
my $s = IO::Socket::INET->new_from_fd(3, 'r+') or die;
sub answer { my $k = shift; my $r = ''; while ($r !~ /\\r\\n\\r\\n/) { sysread($k, $r, 4096, length $r) or return close $k }
  syswrite($k, "HTTP/1.0 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"); close $k }
`;

function perlRelease(host: AppHost, name: string, body: string): void {
  host.shellRelease(name, "");
  const path = join(host.root, "releases", name, "app");
  writeFileSync(path, `${prologue}${body}\n`);
  chmodSync(path, 0o755);
}

describe.if(process.platform === "linux" && Bun.which("perl") !== null)("a generation that", () => {
  test.each(Object.entries(apps))(
    "%s is found out among two that share a listener",
    async (_, body) => {
      await using host = new AppHost();
      for (const name of ["v1", "v2"]) perlRelease(host, name, body);
      host.switchTo("v1");
      await using supervisor = await host.open({
        listen: [host.listen],
        minUptimeMs: 600_000,
        stopTimeoutMs: 500,
      });
      await supervisor.resume("v1", c);
      // The old one need not settle for this.
      const replacing = supervisor.replace(host.change("v2", "v1", { kind: "return" }), c);
      replacing.catch(() => undefined);
      const state = await until(
        "both are up",
        () => supervisor.state.kind === "reloading" && supervisor.state,
      );
      const address = { host: "127.0.0.1", port: host.port };
      const [first, second] = [state.current.pid, state.next.pid];
      for (const [pid, others] of [
        [second, [first]],
        [first, [second]],
      ] as const) {
        const target = { address, path: "/", pid, others };
        const probe = await until("it takes one", async () => {
          const found = await askOwn(target, 8, 5000, systemClock, c);
          return found.kind === "asked" && found;
        });
        expect(probe.probed).toMatchObject({ ok: true, status: 200 });
      }
      process.kill(-second, "SIGKILL");
      await replacing.catch(() => undefined);
      expect(pidOf(supervisor)).toBe(first);
    },
    60_000,
  );
});
