import { describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { glibcName, Installation, muslName } from "../support/installation.ts";
import { damaged } from "../support/release-server.ts";

const wget = "wget -qO-";

describe("the installer", () => {
  test.each<["debian" | "alpine", string, string]>([
    ["debian", "dash", "curl -fsSL"],
    ["debian", "bash", "curl -fsSL"],
    ["debian", "busybox ash", "curl -fsSL"],
    ["debian", "dash", wget],
    ["debian", "bash --posix", wget],
    ["alpine", "ash", wget],
  ])("on %s, by %s and %s: as root and as a user", async (kind, shell, get) => {
    await using it = await Installation.open(kind);
    if (get === wget) rmSync(it.root.path("/usr/bin/curl"), { force: true });

    const asRoot = await it.install([], { shell, get });
    expect(asRoot).toMatchObject({ code: 0 });
    expect(asRoot.output).toContain("install: dewy v1.2.3 is in /usr/local/bin/dewy\n");
    expect(asRoot.output).toContain("signature: not checked");
    expect(await it.version("dewy")).toBe("v1.2.3");
    expect(lstatSync(it.root.path("/usr/local/bin/dewy")).mode & 0o7777).toBe(0o755);
    expect(it.server.asked).toContain(kind === "alpine" ? muslName : glibcName);

    mkdirSync(it.root.path("/home/someone"), { recursive: true });
    await it.root.sh("chown 1234:1234 /home/someone");
    const asUser = await it.install([], { shell, get, user: 1234, env: { HOME: "/home/someone" } });
    expect(asUser).toMatchObject({ code: 0 });
    expect(asUser.output).toContain(
      'not in PATH; add to your shell\'s profile: export PATH="/home/someone/.local/bin:$PATH"',
    );
    expect(await it.version("/home/someone/.local/bin/dewy")).toBe("v1.2.3");
    expect(it.root.names("/home/someone/.local/bin")).toEqual([".dewy-installed", "dewy"]);
  });

  test.each([["sha256sum"], ["shasum"], ["openssl"]])(
    "checks with %s where nothing else is",
    async (hasher) => {
      await using it = await Installation.open("debian");
      const shasum = '#!/bin/sh\n[ "$*" = "-a 256" ] && exec busybox sha256sum\n'; // Perl's is not in a small Debian
      writeFileSync(it.root.path("/usr/bin/shasum"), shasum, { mode: 0o755 });
      for (const name of ["sha256sum", "shasum", "openssl"])
        if (name !== hasher) rmSync(it.root.path(`/usr/bin/${name}`));
      expect(await it.install()).toMatchObject({ code: 0 });
      it.publish("v1.3.0");
      it.server.says(glibcName, damaged);
      const { code, output } = await it.install();
      expect(code).toBe(1);
      expect(output).toContain(`the SHA-256 of ${glibcName} is not the one in SHA256SUMS`);
      expect(await it.version()).toBe("v1.2.3");
    },
  );

  test("takes the version that is asked for, with or without its v, and no other one", async () => {
    await using it = await Installation.open("debian");
    it.publish("v1.3.0");
    expect(await it.install(["--version", "1.2.3"])).toMatchObject({ code: 0 });
    expect(await it.version()).toBe("v1.2.3");
    expect(await it.install([], { env: { DEWY_VERSION: "v1.3.0" } })).toMatchObject({ code: 0 });
    expect(await it.version()).toBe("v1.3.0");
    const absent = await it.install(["--version", "v9.9.9"]);
    expect(absent.code).toBe(1);
    expect(absent.output).toContain("/download/v9.9.9 has no release of dewy");
    it.server.publish("v2.0.0", { [glibcName]: "#!/bin/sh\necho 'dewy version: v1.0.0 [abcdef0, x]'\n" });
    const older = await it.install(["--version", "v2.0.0"]);
    expect(older.code).toBe(1);
    expect(older.output).toContain("the server has v1.0.0 where v2.0.0 should be");
    expect(await it.version()).toBe("v1.3.0");
  });

  test("an upgrade keeps the one before; the same release again changes nothing", async () => {
    await using it = await Installation.open("debian");
    await it.install();
    it.publish("v1.3.0");
    const upgrade = await it.install();
    expect(upgrade.output).toContain(
      "dewy v1.3.0 is in /usr/local/bin/dewy; the one before is /usr/local/bin/dewy.previous",
    );
    const inode = lstatSync(it.root.path("/usr/local/bin/dewy")).ino;
    const again = await it.install();
    expect(again).toMatchObject({ code: 0 });
    expect(again.output).toContain("it is in /usr/local/bin/dewy already");
    expect(lstatSync(it.root.path("/usr/local/bin/dewy")).ino).toBe(inode);
    expect(await it.version("/usr/local/bin/dewy.previous")).toBe("v1.2.3");
    expect(it.root.names("/usr/local/bin")).toEqual([".dewy-installed", "dewy", "dewy.previous"]);
    expect(it.server.asked.filter((name) => name === glibcName)).toHaveLength(2);
  });

  test("an upgrade after one that was killed between its last two steps", async () => {
    await using it = await Installation.open("debian");
    await it.install();
    await it.root.sh(
      "ln /usr/local/bin/dewy /usr/local/bin/dewy.previous; mkdir /usr/local/bin/.dewy-install.old",
    );
    await it.root.sh("touch -d '2 days ago' /usr/local/bin/.dewy-install.old");
    it.publish("v1.3.0");
    expect(await it.install()).toMatchObject({ code: 0 });
    expect([await it.version(), await it.version("/usr/local/bin/dewy.previous")]).toEqual([
      "v1.3.0",
      "v1.2.3",
    ]);
    expect(it.root.names("/usr/local/bin")).toEqual([".dewy-installed", "dewy", "dewy.previous"]);
  });

  test("puts no units where no systemd is", async () => {
    await using it = await Installation.open("alpine");
    const { code, output } = await it.install(["--systemd"], { get: wget });
    expect(code).toBe(1);
    expect(output).toContain("--systemd: there is no systemd here\ninstall: install without it");
    expect(output).toEndWith("install: nothing was changed\n");
    expect(it.server.asked).toEqual(["install.sh"]);
  });

  test("goes back to an older release only if that is named", async () => {
    await using it = await Installation.open("debian");
    it.publish("v1.10.0");
    await it.install();
    it.publish("v1.9.0");
    const latest = await it.install();
    expect(latest.code).toBe(1);
    expect(latest.output).toContain(
      "the latest there, v1.9.0, is older than v1.10.0 in /usr/local/bin/dewy\n",
    );
    expect(latest.output).toContain("to go back to it: --version v1.9.0\n");
    expect(await it.version()).toBe("v1.10.0");
    const named = await it.install(["--version v1.9.0"]);
    expect(named).toMatchObject({ code: 0 });
    expect(named.output).toContain("note: v1.9.0 is older than v1.10.0, which it replaces\n");
    expect(await it.version()).toBe("v1.9.0");
  });

  test.each<[string, string, boolean]>([
    ["v1.4.9", "v2.0.0", true],
    ["v1.9.0", "v1.10.0", true],
    ["v2.0.0", "v1.4.9", false],
    ["v1.0.0", "v1.0.0", false],
    ["v1.0.0-rc.1", "v1.0.0", true],
    ["v1.0.0", "v1.0.0-rc.1", false],
    ["v1.0.0-rc.2", "v1.0.0-rc.10", true],
    ["v1.0.0-beta", "v1.0.0-alpha", false],
    ["v1.0.0-rc.01", "v1.0.0-rc.1", false],
  ])("%s older than %s: %p", (one, other, older) => {
    const script = readFileSync("scripts/install.sh", "utf8");
    const rule = /^is_older\(\)[\s\S]*?^\}$/m.exec(script)?.[0] ?? "exit 9";
    for (const awk of ["", 'awk() { busybox awk "$@"; }\n'])
      expect(Bun.spawnSync(["sh", "-c", `${awk}${rule}\nis_older ${one} ${other}`]).exitCode).toBe(
        older ? 0 : 1,
      );
  });

  test("sees what a killed run left behind a link", async () => {
    await using it = await Installation.open("debian");
    await it.root.sh("mkdir -p /opt/real/.dewy-install.old /opt/a && ln -s /opt/real /opt/a/bin");
    await it.root.sh("touch -d '2 days ago' /opt/real/.dewy-install.old");
    expect(await it.install(["--prefix /opt/a"])).toMatchObject({ code: 0 });
    expect(it.root.names("/opt/real")).toEqual([".dewy-installed", "dewy"]);
  });

  test.each<[string, string]>([
    ["--prefx /opt", "--prefx is not known"],
    ["--version", "--version needs a value"],
    ["--version=", "--version needs a value"],
    ["--version ../../x", "is not a version"],
    ["--prefix opt", "is not an absolute path"],
    ["--timeout soon", "is not a number of seconds"],
    ["--base-url ftp://x", "must begin with https://"],
    ["--systemd --prefix /opt", "--systemd is for root and /usr/local"],
    ["--minisign-key planted --prefix /opt", "does not vouch|has no signature"],
    ["something", "something is not known"],
  ])("%s: says what is wrong and changes nothing", async (args, message) => {
    await using it = await Installation.open("debian");
    const { code, output } = await it.install([args]);
    expect(code).toBe(1);
    expect(output).toMatch(new RegExp(message));
    expect(output).toEndWith("install: nothing was changed\n");
    expect(existsSync(it.root.path("/opt/bin"))).toBe(false);
    expect(it.root.names("/usr/local/bin")).toEqual([]);
  });

  test("knows what it is for", async () => {
    await using it = await Installation.open("alpine");
    const { code, output } = await it.install(["--help"], { get: wget });
    expect(code).toBe(0);
    for (const option of [
      "--version",
      "--prefix",
      "--base-url",
      "--minisign-key",
      "--cosign-key",
      "--timeout",
      "--systemd",
    ])
      expect(output).toContain(`\n  ${option}`);
  });
});
