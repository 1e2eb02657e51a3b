import type { ReleaseFile } from "./release.ts";

export interface Platform {
  readonly os: "linux" | "darwin";
  readonly arch: "amd64" | "arm64";
}

const osNames = { linux: ["linux"], darwin: ["darwin", "macos"] } as const;
const archNames = { amd64: ["amd64", "x86_64"], arm64: ["arm64", "aarch64"] } as const;
const archiveSuffix = /\.(tar\.gz|tgz|tar\.bz2|tbz2|tar\.xz|txz|tar|zip)$/i;

/** This process's platform in the words of release files; other machines are reported as they are. */
export function thisPlatform(): Platform {
  return {
    os: process.platform === "darwin" ? "darwin" : "linux",
    arch: process.arch === "arm64" ? "arm64" : "amd64",
  };
}

/**
 * The archive for a platform. With `wanted`, the file of exactly that name. Otherwise archives that name this
 * OS and this architecture, in any case: whole name parts (`app_linux_amd64.zip`) win over substrings
 * (`applinuxamd64.zip`), then those that name no other platform (on Linux `linux-exporter_linux_amd64.zip` wins
 * over `linux-exporter_darwin_amd64.zip`), then the first by order of publication.
 */
export function chooseArtifact(
  files: readonly ReleaseFile[],
  platform: Platform,
  wanted: string | null,
): ReleaseFile | null {
  if (wanted !== null) return files.find((file) => file.name === wanted) ?? null;
  const archives = files.filter((file) => archiveSuffix.test(file.name));
  return best(archives, platform, hasPart) ?? best(archives, platform, hasSubstring);
}

function best(files: readonly ReleaseFile[], platform: Platform, names: Names): ReleaseFile | null {
  const matching = files.filter((file) => namesPlatform(file.name, platform, names));
  return matching.find((file) => !namesAnotherPlatform(file.name, platform)) ?? matching[0] ?? null;
}

type Names = (text: string, word: string) => boolean;

function namesPlatform(fileName: string, platform: Platform, names: Names): boolean {
  const text = fileName.replace(archiveSuffix, "").toLowerCase();
  return (
    osNames[platform.os].some((word) => names(text, word)) &&
    archNames[platform.arch].some((word) => names(text, word))
  );
}

function namesAnotherPlatform(fileName: string, platform: Platform): boolean {
  const text = fileName.replace(archiveSuffix, "").toLowerCase();
  const own: readonly string[] = [...osNames[platform.os], ...archNames[platform.arch]];
  return Object.values({ ...osNames, ...archNames })
    .flat()
    .some((word) => !own.includes(word) && hasPart(text, word));
}

const hasSubstring: Names = (text, word) => text.includes(word);

/** The word stands between separators; the `_` of `x86_64` is part of the word. */
const hasPart: Names = (text, word) => {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (isEdge(text[at - 1]) && isEdge(text[at + word.length])) return true;
  }
  return false;
};

function isEdge(char: string | undefined): boolean {
  return char === undefined || !/[a-z0-9]/.test(char);
}
