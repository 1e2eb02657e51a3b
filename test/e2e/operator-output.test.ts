import { expect, test } from "bun:test";
import { dewyBinary } from "../support/dewy.ts";
import { TestHost } from "../support/host.ts";
import { until } from "../support/until.ts";

test("who is not shown an answer whole is told, unless he has seen enough", async () => {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const agent = host.assets();
  await agent.logged("Deploy done");
  const sh = (line: string) => {
    const child = Bun.spawnSync(["bash", "-c", line, dewyBinary, host.root]);
    return { code: child.exitCode, out: child.stdout.toString(), said: child.stderr.toString() };
  };
  for (const command of [
    "status",
    "history",
    "logs",
    "status --json",
    "config show assets --json --registry ghr://o/r",
  ]) {
    const { code, said } = sh(`"$0" ${command} --root "$1" > /dev/full`);
    expect({ command, code }).toEqual({ command, code: 3 });
    expect(said).toStartWith("Error: the output can't be written: ENOSPC");
  }
  expect(sh(`"$0" --help > /dev/full`).code).toBe(3);
  expect(sh(`"$0" --version > /dev/full`).code).toBe(3);
  expect(sh(`"$0" hold --root "$1" > /dev/full`)).toMatchObject({
    code: 3,
    said: expect.stringContaining(
      "Error: the order was carried out, but the output can't be written: ENOSPC",
    ),
  });
  expect(sh(`"$0" status --json --root "$1" | grep -c '"hold": {'`).out).toBe("1\n");
  const closed = sh(`set -o pipefail; "$0" logs -n 1000 --root "$1" | true`);
  expect(closed).toEqual({ code: 0, out: "", said: "" });
  // The agent checks every second, and says so.
  expect(sh(`set -o pipefail; "$0" logs --follow --root "$1" | head -n 1`)).toMatchObject({
    code: 0,
    said: "",
  });
}, 60_000);

test("who follows the records is told when the agent ends", async () => {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const agent = host.assets();
  await agent.logged("Deploy done");
  const follow = Bun.spawn([dewyBinary, "logs", "--follow", "--root", host.root], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = new Response(follow.stderr).text();
  let shown = "";
  const reading = (async () => {
    for await (const chunk of follow.stdout) shown += Buffer.from(chunk).toString();
  })();
  await until("the first records are shown", () => shown.includes('msg="Dewy started"'));
  host.publish("v1.1.0");
  await until("those of a deploy are shown", () => shown.includes("tag=v1.1.0"));
  await agent.stop("SIGKILL");
  expect(await follow.exited).toBe(0);
  expect(await said).toBe(`The agent (pid ${agent.pid}) has ended.\n`);
  await reading;
}, 60_000);
