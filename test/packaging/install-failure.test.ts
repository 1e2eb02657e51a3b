import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { glibcName, Installation, type InstallOptions, original } from "../support/installation.ts";
import {
  type Answer,
  cut,
  damaged,
  endless,
  failing,
  gone,
  once,
  page,
  refusing,
  silent,
} from "../support/release-server.ts";
import { until } from "../support/until.ts";

const curl = "curl -fsSL";
const wget = "wget -qO-";
const sums = "SHA256SUMS";

/** The prefix is one that the installer makes: nothing of it may stay. */
async function refuses(
  it: Installation,
  message: string | RegExp,
  args: readonly string[] = [],
  how: InstallOptions = {},
) {
  const { code, output } = await it.install(["--prefix /opt/dewy/deep", ...args], how);
  expect(output).toMatch(message);
  expect(output).toEndWith("install: nothing was changed\n");
  expect(code).toBe(1);
  expect(it.root.names("/opt")).toEqual([]);
}

describe.concurrent.each([
  ["debian", curl],
  ["debian", wget],
  ["alpine", wget],
] as const)("on %s by %s", (kind, get) => {
  const asset = kind === "alpine" ? `${glibcName}-musl` : glibcName;
  const open = async () => {
    const it = await Installation.open(kind);
    if (get === wget) rmSync(it.root.path("/usr/bin/curl"), { force: true });
    return it;
  };

  test.each<[string, string, Answer, RegExp]>([
    ["a damaged binary", asset, damaged, /the SHA-256 of \S+ is not the one in SHA256SUMS/],
    ["a page instead of the binary", asset, page, /the SHA-256 of \S+ is not the one in SHA256SUMS/],
    ["a page instead of the sums", sums, page, /SHA256SUMS names no dewy-linux/],
    [
      "sums cut in their lines",
      sums,
      (body) => new Response(body.subarray(0, 100)),
      /SHA256SUMS names no dewy-linux/,
    ],
    ["no sums", sums, gone, /has no release of dewy/],
    ["no binary", asset, gone, /is not there, though SHA256SUMS names it/],
    [
      "a download that is cut each time",
      asset,
      cut,
      /could not be downloaded: |is not the one in SHA256SUMS/,
    ],
    ["a server that wants a password", sums, refusing(401), /SHA256SUMS is refused: HTTP 401/],
    ["a server that forbids it", sums, refusing(403), /SHA256SUMS is refused: HTTP 403/],
    ["a server in trouble", asset, failing, /could not be downloaded: .*503/],
  ])("%s: says so, and nothing is changed", async (_, name, answer, message) => {
    await using it = await open();
    it.server.says(name, answer);
    await refuses(it, message, [], { get });
  });

  test.each([
    ["does not answer", silent],
    ["never comes to an end", endless],
  ])("a server that %s is given up", async (_, answer) => {
    await using it = await open();
    it.server.says(asset, answer);
    // The sums must come in that time, however busy this machine is.
    await refuses(it, /could not be downloaded: /, ["--timeout 4"], { get });
    expect(it.server.asked).toContain(asset);
  });

  test("goes on after a passing failure and a cut", async () => {
    await using it = await open();
    it.server.says(sums, once(failing));
    it.server.says(asset, once(cut));
    expect(await it.install([], { get })).toMatchObject({ code: 0 });
    expect(await it.version()).toBe("v1.2.3");
  });

  test("TERM in the middle of a download ends it at once", async () => {
    await using it = await open();
    it.server.says(asset, endless);
    const install = Bun.spawn(
      it.root.command([
        "sh",
        "-c",
        `${get} ${it.server.url}/latest/download/install.sh >/tmp/install.sh && exec sh /tmp/install.sh --prefix /opt/deep`,
      ]),
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    await until("the download", () => it.server.asked.includes(asset));
    install.kill("SIGTERM");
    expect(await new Response(install.stderr).text()).toEndWith("install: nothing was changed\n");
    expect(await install.exited).toBe(143);
    expect(it.root.names("/opt")).toEqual([]);
    await until(
      "its downloader's end",
      async () =>
        (
          await it.root.sh(
            "ps -ef 2>/dev/null || ps; for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; done 2>/dev/null",
          )
        ).output.includes(`${it.server.url}/latest/download/${asset}`) === false,
    );
  });
});

describe("on a host that", () => {
  test("has a full disk: says how much room is needed", async () => {
    await using it = await Installation.open("debian");
    mkdirSync(it.root.path("/opt/full"));
    await it.root.mount("/opt/full", "size=32k");
    const { code, output } = await it.install(["--prefix /opt/full"]);
    expect(code).toBe(1);
    expect(output).toMatch(/there is no room for .* make room/s);
    expect(it.root.names("/opt/full")).toEqual([]);
  });

  test("has a read-only disk, or another's: says so", async () => {
    await using it = await Installation.open("debian");
    mkdirSync(it.root.path("/opt/still"));
    await it.root.mount("/opt/still", "ro");
    for (const [prefix, user] of [
      ["/opt/still", 0],
      ["/opt/another", 1234],
      ["/usr/local", 1234],
    ] as const) {
      const { code, output } = await it.install([`--prefix ${prefix}`], { user });
      expect(code).toBe(1);
      expect(output).toMatch(
        /cannot write in .*\ninstall: run it as root, or choose a --prefix that is yours/,
      );
    }
  });

  test("has too old a musl: says which is needed", async () => {
    await using it = await Installation.open("alpine");
    for (const [version, code] of [
      ["1.1.24", 1],
      ["1.2.3", 1],
      ["1.2.3-git-7", 1],
      ["1.2.4", 0],
      ["1.2.10", 0],
      ["2.0.0", 0],
    ] as const) {
      const loader = it.root.path(`/lib/ld-musl-${process.arch === "x64" ? "x86_64" : "aarch64"}.so.1`);
      rmSync(loader);
      writeFileSync(loader, `#!/bin/sh\nprintf 'musl libc\\nVersion ${version}\\nUsage\\n' >&2; exit 1\n`, {
        mode: 0o755,
      });
      const answer = await it.install(["--prefix", `/opt/${version}`], { get: wget });
      expect([version, answer.code]).toEqual([version, code]);
      if (code === 1) expect(answer.output).toContain(`musl ${version} is too old: dewy needs 1.2.4`);
    }
  });

  test("has musl, and no libstdc++: says so before it downloads anything", async () => {
    await using it = await Installation.open("alpine");
    await it.root.sh("mkdir -p /opt/elsewhere && mv /usr/lib/libstdc++* /opt/elsewhere");
    const { code, output } = await it.install([], { get: wget });
    expect(code).toBe(1);
    expect(output).toContain(
      "libstdc++.so.6 is not here, and dewy needs it\ninstall: on Alpine: apk add libstdc++ libgcc",
    );
    expect(it.server.asked).toEqual(["install.sh"]);
    const machine = process.arch === "x64" ? "x86_64" : "aarch64";
    writeFileSync(it.root.path(`/etc/ld-musl-${machine}.path`), "/lib:/opt/none\n/opt/elsewhere\n");
    expect(await it.install([], { get: wget })).toMatchObject({ code: 0 });
  });

  test("may run nothing where dewy would be: names noexec", async () => {
    await using it = await Installation.open("debian");
    mkdirSync(it.root.path("/opt/data"));
    await it.root.mount("/opt/data", "noexec");
    const { code, output } = await it.install(["--prefix /opt/data"]);
    expect(code).toBe(1);
    expect(output).toContain("nothing may be run in /opt/data/bin: ");
    expect(output).toContain("its disk may be mounted noexec: choose another --prefix\n");
    expect(it.root.names("/opt/data")).toEqual([]);
  });

  test("has a PATH that leads nowhere: says so", async () => {
    await using it = await Installation.open("debian");
    writeFileSync(it.root.path("/tmp/install.sh"), readFileSync("scripts/install.sh"));
    const { code, output } = await it.root.run(["env", "PATH=/nothing", "/bin/sh", "/tmp/install.sh"]);
    expect(code).toBe(1);
    expect(output).toBe(
      "install: uname is missing\ninstall: check PATH, which is /nothing\ninstall: nothing was changed\n",
    );
  });

  test("has another program's dewy with a higher version: takes the release", async () => {
    await using it = await Installation.open("debian");
    writeFileSync(it.root.path("/usr/local/bin/dewy"), original, { mode: 0o755 });
    const { code, output } = await it.install();
    expect(code).toBe(0);
    expect(output).not.toContain("older");
    expect(await it.version()).toBe("v1.2.3");
  });

  test("has no C library that is known", async () => {
    await using it = await Installation.open("alpine");
    rmSync(it.root.path(`/lib/ld-musl-${process.arch === "x64" ? "x86_64" : "aarch64"}.so.1`));
    await refuses(it, /neither glibc .* nor musl/, [], { get: wget });
  });

  test.each<[string, string, RegExp]>([
    ["Windows", "MINGW64_NT x86_64", /no dewy for MINGW64_NT/],
    ["FreeBSD", "FreeBSD amd64", /no dewy for FreeBSD/],
    ["a 32-bit processor", "Linux i686", /no dewy for i686/],
    ["macOS on Intel", "Darwin x86_64", /names no dewy-darwin-amd64/],
    ["macOS on Apple's", "Darwin arm64", /names no dewy-darwin-arm64/],
  ])("is %s", async (_, names, message) => {
    await using it = await Installation.open("debian");
    const [system, machine] = names.split(" ");
    const uname = `#!/bin/sh\ncase $1 in -s) echo ${system} ;; *) echo ${machine} ;; esac\n`;
    writeFileSync(it.root.path("/usr/local/bin/uname"), uname, { mode: 0o755 });
    await refuses(it, message);
  });

  test.each<[string, string, RegExp]>([
    ["dies", "exit 3", /does not run here \(exit code 3\)/],
    ["is for a newer processor", "kill -ILL $$", /does not run on this processor/],
    [
      "lacks a library",
      "echo 'Error loading shared library libstdc++.so.6: No such file' >&2; exit 127",
      /apk add libstdc\+\+ libgcc/,
    ],
    ["needs a newer glibc", "echo \"version 'GLIBC_2.99' not found\" >&2; exit 1", /glibc is too old/],
    ["is another program", "echo hello; echo more", /does not run here \(exit code 0\): hello\ninstall: /],
  ])("runs no new dewy that %s", async (_, line, message) => {
    await using it = await Installation.open("debian");
    await it.install();
    it.publish("v1.3.0", `#!/bin/sh\n${line}\n`);
    await refuses(it, message);
    expect(await it.install()).toMatchObject({ code: 1 });
    expect(await it.version()).toBe("v1.2.3");
    expect(it.root.names("/usr/local/bin")).toEqual([".dewy-installed", "dewy"]);
  });

  test("has no tool to download with, or to check with", async () => {
    await using it = await Installation.open("debian");
    const script = it.root.path("/tmp/install.sh");
    writeFileSync(script, readFileSync("scripts/install.sh"));
    for (const name of ["sha256sum", "openssl"]) rmSync(it.root.path(`/usr/bin/${name}`));
    const args = ["sh", "/tmp/install.sh", "--base-url", it.server.url];
    expect((await it.root.run(args)).output).toContain("sha256sum, shasum or openssl is needed");
    for (const name of ["curl", "wget"]) rmSync(it.root.path(`/usr/bin/${name}`));
    expect((await it.root.run(args)).output).toContain("curl or wget is needed");
    expect(it.server.asked).toEqual([]);
  });
});
