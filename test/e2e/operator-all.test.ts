import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dewyBinary } from "../support/dewy.ts";
import { TestHost } from "../support/host.ts";

const start = (host: TestHost) =>
  `'${dewyBinary}' assets --root '${host.root}' --registry 'file://${host.registry}' --interval 1s 2>/dev/null &`;
const wait = (host: TestHost) =>
  `until '${dewyBinary}' status --root '${host.root}' 2>/dev/null | grep -q 'v1.0.0'; do sleep 0.1; done`;

/** In a process namespace of its own: an order to all must not reach agents of whoever works on this machine. */
async function inNamespace(host: TestHost, lines: readonly string[]): Promise<void> {
  const script = join(host.scratch, "all.sh");
  writeFileSync(script, lines.join("\n"));
  const child = Bun.spawn(["unshare", "--fork", "--pid", "--mount-proc", "bash", script], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  expect(await child.exited).toBe(0);
}

test("--all means every agent of the host", async () => {
  await using one = new TestHost();
  await using two = new TestHost();
  for (const host of [one, two]) host.publish("v1.0.0");
  await inNamespace(one, [
    start(one),
    start(two),
    wait(one),
    wait(two),
    `'${dewyBinary}' status --all > '${one.scratch}/screen'; echo $? > '${one.scratch}/code'`,
    `'${dewyBinary}' hold --all --reason freeze --json > '${one.scratch}/hold.json'`,
    `'${dewyBinary}' status --all --json > '${one.scratch}/status.json'`,
    // Carried out on all of them, although nobody can be told.
    `'${dewyBinary}' resume --all > /dev/full 2> '${one.scratch}/said'; echo $? > '${one.scratch}/said-code'`,
    `'${dewyBinary}' status --all --json > '${one.scratch}/resumed.json'`,
    "kill %1 %2; wait",
    `'${dewyBinary}' status --all 2> '${one.scratch}/none'; echo $? > '${one.scratch}/none-code'`,
  ]);
  const read = (name: string) => readFileSync(join(one.scratch, name), "utf8");
  const roots = [one.root, two.root].sort();
  expect(
    read("screen")
      .split("\n")
      .filter((line) => line.startsWith("== ")),
  ).toEqual(roots.map((root) => `== ${root}`));
  expect(read("code")).toBe("0\n");
  expect(JSON.parse(read("hold.json")).map(({ root }: { root: string }) => root)).toEqual(roots);
  expect(JSON.parse(read("status.json"))).toMatchObject(
    roots.map((root) => ({ root, hold: { reason: "freeze" } })),
  );
  expect(read("none")).toContain("Error: no agent of this host can be seen");
  expect(read("none-code")).toBe("1\n");
  expect(JSON.parse(read("resumed.json"))).toMatchObject(roots.map((root) => ({ root, hold: null })));
  expect(read("said")).toStartWith(
    "Error: the order was carried out, but the output can't be written: ENOSPC",
  );
  expect(read("said-code")).toBe("3\n");
}, 120_000);

test("a check of all asks for each that can't be reached by its own file, and by no other", async () => {
  await using one = new TestHost();
  await using two = new TestHost();
  for (const host of [one, two]) {
    host.publish("v1.0.0");
    mkdirSync(join(host.root, ".dewy/dewy.sock/in the way"), { recursive: true });
  }
  const empty = join(one.scratch, "empty");
  mkdirSync(empty);
  writeFileSync(join(one.scratch, "dewy.toml"), `registry = "file://${empty}"`);
  writeFileSync(join(two.root, "dewy.toml"), `registry = "file://${two.registry}"`);
  await inNamespace(one, [
    start(one),
    start(two),
    wait(one),
    wait(two),
    `cd '${one.scratch}'; '${dewyBinary}' check --all --json > '${one.scratch}/check.json'`,
    "kill %1 %2; wait",
  ]);
  const checks = JSON.parse(readFileSync(join(one.scratch, "check.json"), "utf8"));
  const expected = [
    { root: one.root, newest: "v1.0.0", source: "the last agent" },
    { root: two.root, newest: "v1.0.0", source: join(two.root, "dewy.toml") },
  ];
  expect(checks).toHaveLength(2);
  expect(checks).toEqual(expect.arrayContaining(expected.map((each) => expect.objectContaining(each))));
}, 120_000);
