/** Says how big what was built is, and how long `--version` takes of the one for this machine. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const starts = 11;
const [directory = "dist", version = ""] = process.argv.slice(2);
const own = `dewy-${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;

/** Median of several, in milliseconds. A binary that can't start, or is of another build, is an error. */
function startMs(path: string): number {
  const times = Array.from({ length: starts }, () => {
    const beganMs = performance.now();
    const { stdout, stderr } = Bun.spawnSync([path, "--version"]);
    if (!`${stdout}`.startsWith(`dewy version: v${version.replace(/^v/, "")} [`))
      throw new Error(`${path} --version answers: ${stdout}${stderr}`);
    return performance.now() - beganMs;
  });
  return times.sort((a, b) => a - b)[Math.floor(starts / 2)] ?? 0;
}

console.log("file                          MB   start, ms");
for (const name of readdirSync(directory).sort()) {
  const path = join(directory, name);
  if (!/^dewy[-_].*(64|musl|gz)$/.test(name)) continue;
  const megabytes = (statSync(path).size / 1e6).toFixed(1);
  const start = name === own ? startMs(path).toFixed(0) : "-";
  console.log(`${name.padEnd(26)}${megabytes.padStart(6)}${start.padStart(12)}`);
}
