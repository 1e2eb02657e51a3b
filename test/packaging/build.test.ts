import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { builtFile } from "../support/roots.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const binaries = [
  "dewy-darwin-amd64",
  "dewy-darwin-arm64",
  "dewy-linux-amd64",
  "dewy-linux-amd64-musl",
  "dewy-linux-arm64",
  "dewy-linux-arm64-musl",
];
/** The Go original's name of each, and what it is here. */
const archives: readonly (readonly [string, string])[] = [
  ["dewy_darwin_arm64.tar.gz", "dewy-darwin-arm64"],
  ["dewy_darwin_x86_64.tar.gz", "dewy-darwin-amd64"],
  ["dewy_linux_arm64.tar.gz", "dewy-linux-arm64"],
  ["dewy_linux_x86_64.tar.gz", "dewy-linux-amd64"],
];
const others = ["checksums.txt", "dewy-template.service", "dewy.service", "dewy.sysusers.conf", "install.sh"];
const all = [...binaries, ...archives.map(([name]) => name), ...others].sort();

function lines(path: string): string[] {
  return readFileSync(path, "utf8").trimEnd().split("\n");
}

async function run(command: readonly string[], cwd: string): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([...command], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const output = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, output: output.join("") };
}

describe("a release", () => {
  const directory = () => join(builtFile("SHA256SUMS"), "..");

  test("has sums of everything in it", async () => {
    const named = lines(builtFile("SHA256SUMS")).map((line) => line.split("  ")[1] ?? "");
    expect(named.toSorted()).toEqual(all);
    expect(await run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], directory())).toEqual({
      code: 0,
      output: "",
    });
  });

  test("has the original's archives and their sums, so that people's scripts go on", async () => {
    expect(await run(["sha256sum", "--check", "--quiet", "checksums.txt"], directory())).toEqual({
      code: 0,
      output: "",
    });
    expect(lines(builtFile("checksums.txt")).filter((line) => line.includes("linux_x86_64"))).toHaveLength(1);
    for (const [archive, binary] of archives) {
      const list = await run(["tar", "tzvf", archive], directory());
      expect(list.output).toMatch(/^-rwxr-xr-x 0\/0 +\d+ \S+ \S+ dewy\n$/);
      const { exitCode } = Bun.spawnSync(["sh", "-c", `tar xzOf ${archive} dewy | cmp - ${binary}`], {
        cwd: directory(),
      });
      expect([archive, exitCode]).toEqual([archive, 0]);
    }
  });

  test.each([["dewy-darwin-amd64"], ["dewy-darwin-arm64"]])("has a signature on %s that fits it", (name) => {
    const { pages, wrong, signedBytes, signatureAt } = wrongPages(readFileSync(builtFile(name)));
    expect(pages).toBeGreaterThan(10_000);
    expect({ wrong, signedBytes }).toEqual({ wrong: 0, signedBytes: signatureAt });
  });

  test.each<[string, string]>([
    ["dewy-linux-amd64", "7f454c46 3e00"],
    ["dewy-linux-amd64-musl", "7f454c46 3e00"],
    ["dewy-linux-arm64", "7f454c46 b700"],
    ["dewy-linux-arm64-musl", "7f454c46 b700"],
    ["dewy-darwin-amd64", "cffaedfe 0700"],
    ["dewy-darwin-arm64", "cffaedfe 0c00"],
  ])("has %s for that machine", async (name, expected) => {
    const head = Buffer.from(await Bun.file(builtFile(name)).slice(0, 64).arrayBuffer());
    // e_machine of ELF stands at 18, cputype of Mach-O at 4.
    const machine = head.readUInt32BE(0) === 0x7f454c46 ? head.subarray(18, 20) : head.subarray(4, 6);
    expect(`${head.toString("hex", 0, 4)} ${machine.toString("hex")}`).toBe(expected);
    expect(statSync(builtFile(name)).mode & 0o777).toBe(0o755);
  });
});

/** What macOS checks of a page when it is first used; a signature's numbers are big-endian (cs_blobs.h of XNU). */
function wrongPages(file: Buffer): {
  pages: number;
  wrong: number;
  signedBytes: number;
  signatureAt: number;
} {
  let at = 32;
  while (file.readUInt32LE(at) !== 0x1d) at += file.readUInt32LE(at + 4);
  const signatureAt = file.readUInt32LE(at + 8);
  expect(signatureAt + file.readUInt32LE(at + 12)).toBe(file.length);
  const directory = file.subarray(signatureAt + file.readUInt32BE(signatureAt + 16));
  expect(directory.readUInt32BE(0)).toBe(0xfade0c02);
  const [hashesAt, pages, signedBytes] = [16, 28, 32].map((offset) => directory.readUInt32BE(offset));
  let wrong = 0;
  for (let page = 0; page < (pages ?? 0); page++) {
    const bytes = file.subarray(page * 4096, Math.min((page + 1) * 4096, signedBytes ?? 0));
    const start = (hashesAt ?? 0) + page * 32;
    if (!directory.subarray(start, start + 32).equals(createHash("sha256").update(bytes).digest())) wrong++;
  }
  return { pages: pages ?? 0, wrong, signedBytes: signedBytes ?? 0, signatureAt };
}

/** The build's own steps, with a compiler that writes the target's name, and does what `quirk` says for one target. */
function project(directory: string, quirk = ""): void {
  for (const path of ["scripts/build", "scripts/install.sh", "packaging/systemd", "package.json"])
    cpSync(path, join(directory, path), { recursive: true });
  const bin = join(directory, ".tools/node_modules/.bin");
  mkdirSync(bin, { recursive: true });
  const compiler = `#!/bin/sh
[ "$1" = build ] || exit 0
for argument; do
  case "$argument" in --target=*) target=\${argument#*=} ;; --outfile=*) out=\${argument#*=} ;; esac
done
${quirk}
printf '%s ' "$target" "$*" | sed "s|$out||" >"$out"
`;
  writeFileSync(join(bin, "bun"), compiler);
  writeFileSync(join(directory, "scripts/setup"), "#!/bin/sh\n");
  for (const path of [join(bin, "bun"), join(directory, "scripts/setup")]) chmodSync(path, 0o755);
}

describe("the build", () => {
  test("gives the same bytes again, and knows where releases are", async () => {
    const sums = [];
    for (let turn = 0; turn < 2; turn++) {
      using directory = tempDir();
      project(directory.path);
      const env = ["env", "SOURCE_DATE_EPOCH=1800000000", "GITHUB_REPOSITORY=owner/repo"];
      expect(await run([...env, "./scripts/build", "--all"], directory.path)).toMatchObject({ code: 0 });
      const dist = join(directory.path, "dist");
      expect(readdirSync(dist).sort()).toEqual([...all, "SHA256SUMS"].sort());
      expect(readFileSync(join(dist, "dewy-linux-arm64"), "utf8")).toContain(
        "DEWY_DATE='2027-01-15T08:00:00Z'",
      );
      expect(readFileSync(join(dist, "install.sh"), "utf8")).toContain(
        "\nreleases_url=https://github.com/owner/repo/releases\n",
      );
      expect(lines(join(dist, "checksums.txt")).map((line) => line.split("  ")[1])).toEqual(
        archives.map(([archive]) => archive),
      );
      sums.push(readFileSync(join(dist, "SHA256SUMS"), "utf8"));
    }
    expect(sums[0]).toBe(sums[1] ?? "");
  });

  test("of one file leaves no sums of others", async () => {
    using directory = tempDir();
    project(directory.path);
    await run(["./scripts/build", "--all"], directory.path);
    expect(await run(["./scripts/build"], directory.path)).toMatchObject({ code: 0 });
    const left = readdirSync(join(directory.path, "dist")).filter((name) => /sums/i.test(name));
    expect(left).toEqual([]);
  });

  test.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ["no key", {}, /\nminisign_public_key=\ncosign_public_key=\n/],
    ["minisign's", { DEWY_MINISIGN_PUBLIC_KEY: "RWQ+a/b=" }, /\nminisign_public_key=RWQ\+a\/b=\n/],
    [
      "cosign's",
      { DEWY_COSIGN_PUBLIC_KEY: "-----BEGIN PUBLIC KEY-----\nMFk+\na/b==\n-----END PUBLIC KEY-----\n" },
      /\ncosign_public_key=MFk\+a\/b==\n/,
    ],
  ])("tells the installer %s", async (_, keys, line) => {
    using directory = tempDir();
    project(directory.path);
    const env = ["env", ...Object.entries(keys).map(([name, value]) => `${name}=${value}`)];
    expect(await run([...env, "./scripts/build", "--all"], directory.path)).toMatchObject({ code: 0 });
    expect(readFileSync(join(directory.path, "dist/install.sh"), "utf8")).toMatch(line);
  });

  test.each([
    ["DEWY_MINISIGN_PUBLIC_KEY=untrusted comment: minisign"],
    ["DEWY_MINISIGN_PUBLIC_KEY=RWQ; reboot"],
    ["DEWY_COSIGN_PUBLIC_KEY=cosign.pub"],
    ["DEWY_COSIGN_PUBLIC_KEY=-----BEGIN PUBLIC KEY-----MFk+-----END PUBLIC KEY-----"],
  ])("takes no %s", async (variable) => {
    using directory = tempDir();
    project(directory.path);
    const { code, output } = await run(["env", variable, "./scripts/build", "--all"], directory.path);
    expect(code).toBe(1);
    expect(output).toContain("is no public key: give ");
    expect(existsSync(join(directory.path, "dist"))).toBe(false);
  });

  test("that fails late leaves what was there before", async () => {
    using directory = tempDir();
    const dist = join(directory.path, "dist");
    project(directory.path);
    await run(["./scripts/build", "--all"], directory.path);
    const before = readFileSync(join(dist, "SHA256SUMS"), "utf8");
    project(directory.path, '[ "$target" != bun-darwin-arm64 ] || exit 7');
    expect(await run(["./scripts/build", "--all"], directory.path)).toMatchObject({ code: 7 });
    expect(readFileSync(join(dist, "SHA256SUMS"), "utf8")).toBe(before);
    expect(await run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], dist)).toEqual({
      code: 0,
      output: "",
    });
    expect(readdirSync(dist).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("that is stopped leaves nothing", async () => {
    using directory = tempDir();
    project(directory.path, '[ "$target" != bun-darwin-x64 ] || { touch reached; sleep 2; }');
    const build = Bun.spawn(["./scripts/build", "--all"], {
      cwd: directory.path,
      stdio: ["ignore", "ignore", "ignore"],
    });
    await until("the fifth target", () => existsSync(join(directory.path, "reached")));
    build.kill("SIGTERM");
    expect(await build.exited).toBe(143);
    expect(readdirSync(join(directory.path, "dist"))).toEqual([]);
  });

  test("takes nothing but --all", async () => {
    using directory = tempDir();
    project(directory.path);
    expect(await run(["./scripts/build", "--al"], directory.path)).toMatchObject({ code: 1 });
    expect(existsSync(join(directory.path, "dist"))).toBe(false);
  });
});
