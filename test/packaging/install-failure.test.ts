import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fakeDewy, glibcName, Installation, type InstallOptions } from "../support/installation.ts";
import {
  type Answer,
  cut,
  damaged,
  endless,
  failing,
  gone,
  once,
  page,
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
    ["a server in trouble", asset, failing, /could not be downloaded: .*503/],
  ])("%s: says so, and nothing is changed", async (_, name, answer, message) => {
    await using it = await open();
    it.server.says(name, answer);
    await refuses(it, message, [], { get });
  });

  test.each([
    ["does not answer", silent],
    ["never comes to an end", endless],
  ])("a server that %s is given up, three times", async (_, answer) => {
    await using it = await open();
    it.server.says(asset, answer);
    await refuses(it, /could not be downloaded: /, ["--timeout 1"], { get });
    expect(it.server.asked.filter((name) => name === asset)).toHaveLength(3);
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
    ["is another program", "echo hello", /does not run here \(exit code 0\): hello/],
  ])("runs no new dewy that %s", async (_, line, message) => {
    await using it = await Installation.open("debian");
    await it.install();
    it.publish("v1.3.0", `#!/bin/sh\n${line}\n`);
    await refuses(it, message);
    expect(await it.install()).toMatchObject({ code: 1 });
    expect(await it.version()).toBe("v1.2.3");
    expect(it.root.names("/usr/local/bin")).toEqual(["dewy"]);
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

describe("a script that was cut", () => {
  test("at any place does nothing", async () => {
    await using it = await Installation.open("debian");
    const script = readFileSync("scripts/install.sh", "utf8").replace(
      /^releases_url=$/m,
      `releases_url=${it.server.url}`,
    );
    const ends = Array.from({ length: 40 }, (_, step) => script.trimEnd().length - 1 - step);
    const begin = script.indexOf("\n{ ") + 2;
    const spread = Array.from(
      { length: 40 },
      (_, step) => begin + Math.floor(((script.length - begin) / 40) * step),
    );
    for (const end of [...ends, ...spread]) {
      writeFileSync(it.root.path("/tmp/cut.sh"), script.slice(0, end));
      for (const shell of ["dash", "bash"])
        expect(await it.root.run([shell, "/tmp/cut.sh"])).toMatchObject({ code: 2 });
    }
    expect(it.server.asked).toEqual([]);
    writeFileSync(it.root.path("/tmp/cut.sh"), script.trimEnd());
    expect(await it.root.run(["dash", "/tmp/cut.sh"])).toMatchObject({ code: 0 });
  });
});

describe("several at once", () => {
  test("leave one whole dewy and nothing else", async () => {
    await using it = await Installation.open("debian");
    it.publish("v1.3.0", fakeDewy("v1.3.0"));
    const versions = ["v1.2.3", "v1.3.0"];
    const runs = Array.from({ length: 6 }, (_, run) => it.install(["--version", versions[run % 2] ?? ""]));
    for (const run of await Promise.all(runs)) expect(run).toMatchObject({ code: 0 });
    expect(versions).toContain(await it.version());
    expect(it.root.names("/usr/local/bin")).toEqual(["dewy", "dewy.previous"]);
  });
});
