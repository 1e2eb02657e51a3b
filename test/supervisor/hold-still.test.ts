import { describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whileHeld } from "../../src/supervisor/hold-still.ts";
import { processStat } from "../../src/util/procfs.ts";
import { systemClock } from "../../src/util/time.ts";
import { AppHost, pidOf } from "../support/app-host.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };
const health = {
  path: "/up",
  command: null,
  timeoutMs: 60_000,
  intervalMs: 200,
  passes: 2,
  threshold: 3,
};

/** Takes a connection only when it has been there for a while, as one that is cold does. */
function slowRelease(host: AppHost, name: string): void {
  host.shellRelease(name, "");
  const path = join(host.root, "releases", name, "app");
  const script = `#!/usr/bin/perl
use strict; use IO::Socket::INET; use IO::Select;
$SIG{PIPE} = 'IGNORE';
my $s = IO::Socket::INET->new_from_fd(3, 'r+') or die; $s->blocking(0);
my $ready = IO::Select->new($s); my $stop = 0; $SIG{TERM} = sub { $stop = 1 };
while (!$stop) { $ready->can_read(1) or next; select(undef, undef, undef, 0.1);
  my $k = $s->accept or next;
  $k->blocking(1); my $r = ''; while ($r !~ /\\r\\n\\r\\n/) { sysread($k, $r, 4096, length $r) or last }
  syswrite($k, "HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\n${name} 1"); close $k }
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
}

describe.if(process.platform === "linux")("a new version", () => {
  test("that is always the slower one to take a connection gets one all the same", async () => {
    await using host = new AppHost();
    host.shellRelease(host.gateRelease("v1", {}), `exec ${process.execPath} ./current/app.ts`);
    slowRelease(host, "v2");
    host.switchTo("v1");
    await using supervisor = await host.open({ listen: [host.listen], health });
    await supervisor.resume("v1", c);
    await host.serves("v1");
    const load = startLoad(host.port, { kept: 0, fresh: 1, pauseMs: 50 });
    expect(await supervisor.replace(host.change("v2", "v1"), c)).toBe("restarted");
    expect((await load.stop()).failures).toEqual([]);
  }, 90_000);
});

describe.if(process.platform === "linux")("a generation that is held", () => {
  test("is stopped while the work is done, and goes on after it", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", "sleep 1000"));
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    const pid = pidOf(supervisor);
    const state = () => processStat(pid)?.state;
    // On a busy machine a hold may be over before it is looked at.
    await until("it is stopped for the work", async () => {
      return (await whileHeld([pid], systemClock, async () => state())) === "T";
    });
    await until("it goes on", () => state() !== "T");
  });

  test("goes on by itself when nobody lets it", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", "sleep 1000"));
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    const pid = pidOf(supervisor);
    const isRunning = () => until("it goes on", () => processStat(pid)?.state !== "T");
    expect(await whileHeld([pid], systemClock, isRunning)).toBe(true);
  });

  test("may be gone", async () => {
    expect(await whileHeld([2 ** 22 - 1], systemClock, async () => "done")).toBe("done");
  });
});
