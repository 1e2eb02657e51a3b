import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { linkPaths } from "../../src/activate/links.ts";
import { History } from "../../src/agent/history.ts";
import { acquireLock } from "../../src/agent/lock.ts";
import { prepareLayout } from "../../src/cli/run/layout.ts";
import type { User } from "../../src/util/user.ts";
import { tempDir } from "../support/temp-dir.ts";

const user: User = { uid: 54_321, gid: 4242, groups: [4242, 4243], name: "app", home: "/" };

/** A root in a directory of root's. */
function newRoot() {
  const dir = tempDir();
  chmodSync(dir.path, 0o755);
  const root = join(dir.path, "root");
  mkdirSync(root);
  return { root, above: dir.path, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}

describe("a root agent whose app has a user of its own", () => {
  test.each<[string, (root: string, above: string) => string]>([
    ["a root of his", (root) => give(root)],
    ["a root above which he owns a directory", (_, above) => give(above)],
    ["a root that his second group may write to", (root) => open(root, 4243, 0o775)],
    ["a root that everybody may write to", (root) => open(root, 0, 0o777)],
    ["one that everybody may add to", (root) => open(root, 0, 0o1777)],
    ["a .dewy of his", (root) => give(made(root, ".dewy"))],
    ["a part of .dewy that is his", (root) => give(made(root, ".dewy/tmp"))],
    ["a lock of his", (root) => give(file(root, ".dewy/lock"))],
    ["releases of his", (root) => give(made(root, "releases"))],
    [
      "releases that lead to a directory of his",
      (root, above) => {
        const his = give(made(above, "his"));
        symlinkSync(his, join(root, "releases"));
        return his;
      },
    ],
  ])("is refused %s", (_, prepare) => {
    using dir = newRoot();
    const weak = prepare(dir.root, dir.above);
    const refused = {
      code: "config-invalid",
      message: expect.stringContaining(`${weak} is owned by or writable for user app`),
    };
    expect(caught(() => prepareLayout(dir.root, user))).toMatchObject(refused);
    // Where the app runs as the agent there is nobody to be led by.
    expect(prepareLayout(dir.root).root).toBe(dir.root);
    expect(prepareLayout(dir.root, { ...user, uid: 0, gid: 0, groups: [0] }).root).toBe(dir.root);
  });

  test("is refused a .dewy that is a link", () => {
    using dir = newRoot();
    symlinkSync(made(dir.above, "elsewhere"), join(dir.root, ".dewy"));
    expect(() => prepareLayout(dir.root, user)).toThrow("is a link");
  });

  test("works where all of it is root's, and what is linked is his", () => {
    using dir = newRoot();
    give(made(dir.root, "shared/log"));
    file(dir.root, ".dewy/lock");
    expect(prepareLayout(dir.root, user).root).toBe(dir.root);
  });
});

describe("what a link leads to", () => {
  test("the lock's is left as it is", () => {
    using dir = newRoot();
    const own = file(dir.above, "own", "precious");
    symlinkSync(own, join(made(dir.root, ".dewy"), "lock"));
    expect(() => acquireLock(join(dir.root, ".dewy/lock"), "pid 1")).toThrow();
    expect(readFileSync(own, "utf8")).toBe("precious");
    expect(lstatSync(own).mode & 0o777).toBe(0o644);
  });

  test("the history's, too", () => {
    using dir = newRoot();
    const own = file(dir.above, "own", "precious\n");
    symlinkSync(own, join(made(dir.root, ".dewy"), "history.jsonl"));
    expect(() => new History(join(dir.root, ".dewy/history.jsonl")).append({} as never)).toThrow();
    expect(readFileSync(own, "utf8")).toBe("precious\n");
  });
});

describe("a place that a release is to be linked to", () => {
  test("is not made below a directory of the user's, who could have put a link there", () => {
    using dir = newRoot();
    const victim = made(dir.above, "victim");
    give(made(dir.root, "shared"));
    symlinkSync(victim, join(dir.root, "shared/data"));
    const release = made(dir.root, "releases/R");
    const links = [{ from: join(dir.root, "shared/data/log"), to: "log" }];
    const refused = { code: "config-invalid", message: expect.stringContaining("is open to user app") };
    expect(caught(() => linkPaths(release, links, { root: dir.root, owner: user }))).toMatchObject(refused);
    expect(() => lstatSync(join(victim, "log"))).toThrow();
  });

  test("is made for him below root's", () => {
    using dir = newRoot();
    const from = join(dir.root, "shared/log");
    linkPaths(made(dir.root, "releases/R"), [{ from, to: "log" }], { root: dir.root, owner: user });
    expect(lstatSync(from).uid).toBe(user.uid);
    expect(lstatSync(join(dir.root, "shared")).uid).toBe(0);
  });
});

function give(path: string): string {
  chownSync(path, user.uid, 0);
  return path;
}

function open(path: string, gid: number, mode: number): string {
  chownSync(path, 0, gid);
  chmodSync(path, mode);
  return path;
}

function made(root: string, name: string): string {
  mkdirSync(join(root, name), { recursive: true });
  return join(root, name);
}

function file(root: string, name: string, content = ""): string {
  mkdirSync(join(root, name, ".."), { recursive: true });
  writeFileSync(join(root, name), content, { mode: 0o644 });
  return join(root, name);
}

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("it was not refused");
}
