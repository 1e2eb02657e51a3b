import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { spawnAs } from "../../src/util/spawn-as.ts";
import { findUser, type User, userEnvironment } from "../../src/util/user.ts";

/** As /etc/passwd has him on this host. */
function listed(name: string): { uid: number; gid: number; home: string } {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((each) => each.startsWith(`${name}:`));
  const [, , uid, gid, , home = ""] = line?.split(":") ?? [];
  return { uid: Number(uid), gid: Number(gid), home };
}

const nobody = listed("nobody");

describe("a user", () => {
  test.each<[string, string, string | null, Partial<User>]>([
    ["by his name", "nobody", null, { ...nobody, name: "nobody" }],
    ["by his number", String(nobody.uid), null, { ...nobody, name: "nobody" }],
    ["with another group", "nobody", "daemon", { uid: nobody.uid, gid: listed("daemon").gid }],
    ["with a group's number", "nobody", "4242", { uid: nobody.uid, gid: 4242 }],
    [
      "that no list names",
      "54321",
      "4242",
      { uid: 54_321, gid: 4242, groups: [4242], name: null, home: "/" },
    ],
  ])("%s", (_, user, group, found) => {
    expect(findUser({ user, group })).toMatchObject(found);
  });

  test("has the groups that initgroups gives him, and the chosen one", () => {
    const ofHost = new TextDecoder()
      .decode(Bun.spawnSync(["id", "-G", "nobody"]).stdout)
      .trim()
      .split(" ");
    const sorted = (groups: readonly number[]) => groups.toSorted((a, b) => a - b);
    expect(sorted(findUser({ user: "nobody", group: null }).groups)).toEqual(sorted(ofHost.map(Number)));
    expect(findUser({ user: "nobody", group: "4242" }).groups).toContain(4242);
  });

  test.each<[string, string, string | null, string]>([
    ["is unknown", "no-such-user", null, "there is no user no-such-user on this host"],
    ["is a number without a group", "54321", null, "user 54321 is not listed on this host"],
    ["is no number for a user", "4294967295", "1", "there is no user 4294967295 on this host"],
    ["has an unknown group", "nobody", "no-such-group", "there is no group no-such-group on this host"],
  ])("that %s is refused, with what to do", (_, user, group, message) => {
    const failure = caught(() => findUser({ user, group }));
    expect(failure).toMatchObject({ code: "config-invalid", hint: expect.any(String) });
    expect(String(failure)).toContain(message);
  });

  test("has his home and his name, and a number without a name nobody's", () => {
    expect(userEnvironment(findUser({ user: "nobody", group: null }))).toEqual({
      HOME: nobody.home,
      USER: "nobody",
      LOGNAME: "nobody",
    });
    expect(userEnvironment(findUser({ user: "54321", group: "4242" }))).toEqual({
      HOME: "/",
      USER: undefined,
      LOGNAME: undefined,
    });
  });
});

describe("an agent that is not root", () => {
  test("runs as himself, and as nobody else", () => {
    const script = `
      const { findUser } = await import(${JSON.stringify(`${import.meta.dir}/../../src/util/user.ts`)});
      for (const user of ["nobody", "daemon"]) {
        try { console.log(user, findUser({ user, group: null }).uid); } catch (error) { console.log(error.message); }
      }`;
    const { stdout } = Bun.spawnSync(
      [
        "setpriv",
        `--reuid=${nobody.uid}`,
        `--regid=${nobody.gid}`,
        "--clear-groups",
        process.execPath,
        "-e",
        script,
      ],
      { env: { PATH: process.env["PATH"] }, cwd: "/" },
    );
    expect(stdout.toString().trim().split("\n")).toEqual([
      `nobody ${nobody.uid}`,
      "only root can run the app as daemon",
    ]);
  });

  test("but root without the rights is told which", () => {
    const script = `
      const { findUser } = await import(${JSON.stringify(`${import.meta.dir}/../../src/util/user.ts`)});
      try { findUser({ user: "nobody", group: null }); } catch (error) { console.log(error.hint); }`;
    const { stdout } = Bun.spawnSync(
      ["setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid", process.execPath, "-e", script],
      { env: { PATH: process.env["PATH"] }, cwd: "/" },
    );
    expect(stdout.toString()).toContain("CAP_SETUID");
  });
});

describe("a process that is started as a user", () => {
  const user: User = { uid: 54_321, gid: 4242, groups: [4242, 4243, 50_000], name: null, home: "/" };
  const status = (ids: object) => {
    const { stdout } = Bun.spawnSync(["/bin/cat", "/proc/self/status"], { ...ids });
    return credentials(stdout.toString());
  };

  test("has his ids and his groups, no right of root's, and none of root's groups", () => {
    expect(spawnAs(user, status)).toEqual({
      Uid: "54321 54321 54321 54321",
      Gid: "4242 4242 4242 4242",
      Groups: "4242 4243 50000",
      CapInh: none,
      CapPrm: none,
      CapEff: none,
      CapAmb: none,
    });
  });

  test("leaves the agent as it was, in all its threads, also when it could not be started", () => {
    const before = threads();
    spawnAs(user, status);
    expect(() => spawnAs(user, () => Bun.spawn(["/no/such/program"]))).toThrow();
    expect(threads()).toEqual(before);
    expect(status({})).toMatchObject({ Uid: "0 0 0 0", Gid: "0 0 0 0" });
  });

  test("as nobody else in particular is as the agent", () => {
    expect(spawnAs(null, status)).toEqual(status({}));
  });
});

const none = "0".repeat(16);

function credentials(text: string): Record<string, string> {
  const lines = text.split("\n").filter((line) => /^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Amb)):/.test(line));
  return Object.fromEntries(
    lines.map((line) => [line.split(":")[0] ?? "", (line.split(":")[1] ?? "").trim().replaceAll("\t", " ")]),
  );
}

/** What the threads of this process may do, each kind once. */
function threads(): string[] {
  const all = [...new Bun.Glob("*/status").scanSync("/proc/self/task")];
  return [
    ...new Set(
      all.map((path) => JSON.stringify(credentials(readFileSync(`/proc/self/task/${path}`, "utf8")))),
    ),
  ];
}

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
