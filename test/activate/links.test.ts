import { describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { linkPaths, type ReleaseLink, resolveLinks } from "../../src/activate/links.ts";
import { ReleaseDirectory } from "../../src/activate/release-dir.ts";
import type { User } from "../../src/util/user.ts";
import { FakeClock } from "../support/clock.ts";
import { tempDir } from "../support/temp-dir.ts";

const c = { signal: new AbortController().signal };
const user: User = { uid: 54_321, gid: 4242, groups: [4242], name: "app", home: "/" };

/** What an archive brought, by path: a string is a file's content, null an empty directory, a link its target. */
type Brought = Readonly<Record<string, string | null | { readonly link: string }>>;

function make() {
  const dir = tempDir();
  const root = join(dir.path, "root");
  mkdirSync(root);
  const releases = new ReleaseDirectory(root, new FakeClock());
  releases.prepare();
  const place = async (links: readonly ReleaseLink[], brought: Brought = {}, owner: User | null = null) => {
    const resolved = resolveLinks(links, root);
    const release = await releases.stage(async (into) => {
      for (const [path, content] of Object.entries(brought)) bring(join(into, path), content);
      linkPaths(into, resolved, { root, owner });
    }, c);
    return releases.pathOf(release);
  };
  return { path: dir.path, root, releases, place, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}

function bring(path: string, content: Brought[string]): void {
  mkdirSync(dirname(path), { recursive: true });
  if (content === null) mkdirSync(path, { recursive: true });
  else if (typeof content === "string") writeFileSync(path, content);
  else if (content !== undefined) symlinkSync(content.link, path);
}

describe("a link", () => {
  test("leads from each release to what outlives it, also once the root has moved", async () => {
    using host = make();
    const release = await host.place([{ from: "shared/log", to: "log" }]);
    expect(readlinkSync(join(release, "log"))).toBe("../../shared/log");
    writeFileSync(join(release, "log/app.log"), "line");
    expect(readFileSync(join(host.root, "shared/log/app.log"), "utf8")).toBe("line");
    const next = await host.place([{ from: "shared/log", to: "log" }]);
    renameSync(host.root, `${host.root}-moved`);
    const moved = next.replace(host.root, `${host.root}-moved`);
    expect(readFileSync(join(moved, "log/app.log"), "utf8")).toBe("line");
  });

  test("deep in the release gets the directories above it, open to others whatever the umask", async () => {
    using host = make();
    const before = process.umask(0o077);
    try {
      const release = await host.place([{ from: "shared/uploads", to: "public/system/uploads" }]);
      expect(readlinkSync(join(release, "public/system/uploads"))).toBe("../../../../shared/uploads");
      expect(statSync(join(release, "public/system")).mode & 0o777).toBe(0o755);
    } finally {
      process.umask(before);
    }
  });

  test("may lead to a file, and out of the root by its full path", async () => {
    using host = make();
    const secrets = join(host.path, "etc/app.env");
    bring(secrets, "A=1");
    const release = await host.place([{ from: secrets, to: "config/.env" }], { "config/app.yml": "x" });
    expect(readlinkSync(join(release, "config/.env"))).toBe(secrets);
    expect(readFileSync(join(release, "config/.env"), "utf8")).toBe("A=1");
  });

  test("holds where the releases lie on another disk", async () => {
    using host = make();
    const disk = join(host.path, "disk/deep/releases");
    mkdirSync(dirname(disk), { recursive: true });
    renameSync(host.releases.path, disk);
    symlinkSync(disk, host.releases.path);
    const release = await host.place([{ from: "shared/log", to: "log" }]);
    writeFileSync(join(host.root, "shared/log/x"), "");
    expect(existsSync(join(release, "log/x"))).toBe(true);
  });

  test("nobody sees a release without it", async () => {
    using host = make();
    const failing = host.releases.stage(async (into) => {
      linkPaths(into, resolveLinks([{ from: "shared/log", to: "log" }], host.root), {
        root: host.root,
        owner: null,
      });
      expect(host.releases.list()).toEqual([]);
      throw new Error("killed here");
    }, c);
    await expect(failing).rejects.toThrow("killed here");
    expect(host.releases.list()).toEqual([]);
  });

  test("is all that goes with its release: what it leads to stays", async () => {
    using host = make();
    const release = await host.place([
      { from: "shared/log", to: "log" },
      { from: "shared/data", to: "var/data" },
    ]);
    writeFileSync(join(host.root, "shared/log/precious"), "");
    writeFileSync(join(host.root, "shared/data/precious"), "");
    host.releases.remove(release.slice(host.releases.path.length + 1));
    expect(existsSync(release)).toBe(false);
    expect(existsSync(join(host.root, "shared/log/precious"))).toBe(true);
    expect(existsSync(join(host.root, "shared/data/precious"))).toBe(true);
  });

  test("so is what a killed agent left half made", async () => {
    using host = make();
    const partial = join(host.releases.path, ".partial-0");
    mkdirSync(partial);
    mkdirSync(join(host.root, "shared/log"), { recursive: true });
    writeFileSync(join(host.root, "shared/log/precious"), "");
    linkPaths(partial, resolveLinks([{ from: "shared/log", to: "log" }], host.root), {
      root: host.root,
      owner: null,
    });
    host.releases.recover();
    expect(existsSync(partial)).toBe(false);
    expect(existsSync(join(host.root, "shared/log/precious"))).toBe(true);
  });
});

describe("the place of a link", () => {
  test.each<[string, Brought]>([
    ["nothing", {}],
    ["an empty directory", { log: null }],
    ["a directory that only a repository needs", { "log/.gitkeep": "", "log/.keep": "" }],
  ])("with %s becomes the link", async (_, brought) => {
    using host = make();
    const release = await host.place([{ from: "shared/log", to: "log" }], brought);
    expect(lstatSync(join(release, "log")).isSymbolicLink()).toBe(true);
  });

  test.each<[string, Brought, string, string]>([
    ["a directory with content", { "log/app.log": "x" }, "log", "a directory with content at log"],
    ["a directory in a directory", { "log/.keep/x": "x" }, "log", "a directory with content at log"],
    ["a file", { log: "x" }, "log", "a file at log"],
    ["a link", { log: { link: "tmp" } }, "log", "a link at log"],
    ["a file above it", { var: "x" }, "var/log", "a file at var"],
    ["a link above it", { var: { link: "." } }, "var/log", "a link at var"],
    [
      "a link above it that leaves the release",
      { var: { link: "../../shared" } },
      "var/log",
      "a link at var",
    ],
  ])("with %s makes the release one that can't be used", async (_, brought, to, message) => {
    using host = make();
    mkdirSync(join(host.root, "shared"));
    const placing = host.place([{ from: "logs", to }], brought);
    await expect(placing).rejects.toMatchObject({
      code: "archive-refused",
      blame: "release",
      message: expect.stringContaining(message),
      hint: expect.any(String),
    });
    expect(host.releases.list()).toEqual([]);
    expect(existsSync(join(host.root, "shared/log"))).toBe(false);
  });
});

describe("the source of a link", () => {
  test("is made where it is missing, for the app's user; what is there stays as it is", async () => {
    using host = make();
    mkdirSync(join(host.root, "kept"), { mode: 0o750 });
    const links = [
      { from: "shared/log", to: "log" },
      { from: "kept", to: "kept" },
    ];
    await host.place(links, {}, user);
    expect(ownerOf(join(host.root, "shared/log"))).toBe("54321:4242");
    expect(ownerOf(join(host.root, "shared"))).toBe("0:0");
    expect(ownerOf(join(host.root, "kept"))).toBe("0:0");
    expect(statSync(join(host.root, "kept")).mode & 0o777).toBe(0o750);
  });

  test.each<[string, string]>([
    ["releases", "is in releases, which is dewy's own"],
    ["./releases/20260101T000000Z/log", "is in releases, which is dewy's own"],
    ["shared/../.dewy/cache", "is in .dewy, which is dewy's own"],
    ["current/log", "is in current, which is dewy's own"],
    [".", "would link the releases into themselves"],
    ["..", "would link the releases into themselves"],
    ["/", "would link the releases into themselves"],
  ])("%s is refused", (from, message) => {
    using host = make();
    expect(() => resolveLinks([{ from, to: "x" }], host.root)).toThrow(message);
  });

  test("that leads into the agent's own by a link is refused", () => {
    using host = make();
    symlinkSync("releases", join(host.root, "shared"));
    expect(() => resolveLinks([{ from: "shared/log", to: "log" }], host.root)).toThrow("is dewy's own");
  });

  test("whose name only begins like the agent's own is taken", () => {
    using host = make();
    const links = [{ from: "releases-shared/..log", to: "log" }];
    expect(resolveLinks(links, host.root)).toEqual([
      { from: join(host.root, "releases-shared/..log"), to: "log" },
    ]);
  });

  test("that can't be made is the host's fault", async () => {
    using host = make();
    writeFileSync(join(host.root, "shared"), "a file");
    const placing = host.place([{ from: "shared/log", to: "log" }]);
    await expect(placing).rejects.toMatchObject({ code: "filesystem", blame: "environment" });
    expect(host.releases.list()).toEqual([]);
  });
});

function ownerOf(path: string): string {
  const { uid, gid } = statSync(path);
  return `${uid}:${gid}`;
}
