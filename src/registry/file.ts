import { closeSync, type Dirent, fsyncSync, openSync, readdirSync, type Stats, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { DewyError, systemCode, toDewyError } from "../errors.ts";
import { chooseArtifact, type Platform } from "../release/platform.ts";
import type { Release, ReleaseFile } from "../release/release.ts";
import { type SelectPolicy, selectTag } from "../release/select.ts";
import type { ArtifactBody, ArtifactSource, ResumePoint } from "../release/source.ts";
import { writeAll } from "../util/fs.ts";
import type { Registry } from "./registry.ts";
import { isReportName, reportObject } from "./report.ts";
import { readSelection, type SelectionOptions } from "./selection.ts";

export interface DirectoryOptions extends SelectionOptions {
  readonly directory: string;
}

interface DirectoryDeps {
  readonly policy: SelectPolicy;
  readonly platform: Platform;
}

/** `file:///dir?…`: an absolute directory. */
export function parseDirectoryUrl(url: URL): DirectoryOptions {
  if (url.host !== "" || url.pathname === "/" || url.hash !== "") {
    throw new DewyError("config-invalid", "the registry URL does not name an absolute directory", {
      hint: "write file:///srv/releases, with three slashes",
    });
  }
  const directory = fileURLToPath(new URL(url.pathname, "file://"));
  return { ...readSelection(url), directory: directory.replace(/\/+$/, "") };
}

/** A directory with `<version>/<file>` in it: for a first try, hosts without a network, NFS. */
export function openDirectory(options: DirectoryOptions, deps: DirectoryDeps): Registry {
  const { directory } = options;

  const releaseOf = (tag: string): Release | null => {
    const path = join(directory, tag);
    const created = inDirectory(path, () => timeOf(statSync(path)));
    const files = inDirectory(path, () => readdirSync(path)) ?? [];
    if (created === null) return null;
    const published = files
      .filter(isPublished)
      .map((name) => inDirectory(path, () => releaseFile(path, name)))
      .filter((file) => file !== null);
    return {
      tag,
      createdAt: created,
      artifact: chooseArtifact(published, deps.platform, options.artifact),
      files: published,
    };
  };

  return {
    async latest() {
      const entries = inDirectory(directory, () => readdirSync(directory, { withFileTypes: true }));
      if (entries === null) {
        throw new DewyError("not-found", `the registry directory ${directory} does not exist`, {
          hint: "create it, or mount it; releases go into <directory>/<version>/",
        });
      }
      const tags = entries.filter((entry) => isDirectory(directory, entry)).map((entry) => entry.name);
      const { tag, otherSlot } = selectTag(tags, deps.policy);
      return { release: tag === null ? null : releaseOf(tag), otherSlot };
    },

    async find(tag) {
      const named = tag !== "" && !tag.includes("/") && !tag.startsWith(".");
      return named ? releaseOf(tag) : null;
    },

    async report(record) {
      const { name, body } = reportObject(record);
      const path = join(directory, record.tag, name);
      try {
        const fd = openSync(path, "wx", 0o644);
        try {
          writeAll(fd, Buffer.from(body));
          fsyncSync(fd);
        } finally {
          closeSync(fd);
        }
      } catch (error) {
        if (systemCode(error) === "EEXIST") return;
        throw reportError(path, error);
      }
    },

    minIntervalMs: () => 0,

    async [Symbol.asyncDispose]() {},
  };
}

/** Opens the files of such a directory. */
export const directorySource: ArtifactSource = {
  async open(file, resume): Promise<ArtifactBody> {
    const path = fileURLToPath(file.url);
    try {
      const { size, mtimeMs, ino } = statSync(path);
      const validator = revisionOf({ size, mtimeMs, ino });
      const offset = resumeOffset(resume, validator);
      return { chunks: readFrom(path, offset), offset, totalBytes: size, validator };
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw toDewyError(error, `open ${path}`);
      throw new DewyError("artifact-missing", `${path} is gone`, { cause: error });
    }
  },
};

const chunkBytes = 1024 * 1024;

async function* readFrom(path: string, offset: number): AsyncGenerator<Uint8Array> {
  await using file = await open(path, "r");
  const buffer = Buffer.alloc(chunkBytes);
  for (let position = offset; ; ) {
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function resumeOffset(resume: ResumePoint | null, validator: string): number {
  return resume !== null && resume.validator === validator ? resume.offset : 0;
}

/** Hidden names are work in progress of whoever copies a release here. */
function isPublished(name: string): boolean {
  return !name.startsWith(".") && !isReportName(name);
}

/** A release may be a link to one; a link that leads nowhere is none. */
function isDirectory(parent: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  return inDirectory(parent, () => statSync(join(parent, entry.name)).isDirectory()) ?? false;
}

/** When the release appeared; file systems without birth times say 0. */
function timeOf({ birthtimeMs, mtimeMs }: Stats): Date {
  return new Date(birthtimeMs > 0 ? birthtimeMs : mtimeMs);
}

/** null for what is no file. */
function releaseFile(directory: string, name: string): ReleaseFile | null {
  const path = join(directory, name);
  const stat = statSync(path);
  if (!stat.isFile()) return null;
  const url = pathToFileURL(path).href;
  return { name, url, sizeBytes: stat.size, digest: null, revision: revisionOf(stat) };
}

function revisionOf({ size, mtimeMs, ino }: { size: number; mtimeMs: number; ino: number }): string {
  return `${ino}:${mtimeMs}:${size}`;
}

/** null when it is not there, or no longer. */
function inDirectory<T>(path: string, look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return null;
    throw toDewyError(error, `read ${path}`);
  }
}

/** A directory dewy may only read is a fine registry, and a deleted release gets no report: trying again is vain. */
function reportError(path: string, error: unknown): DewyError {
  const failure = toDewyError(error, `write ${path}`);
  if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) {
    return new DewyError("not-found", failure.message, { cause: error, retryable: false });
  }
  const refused = ["EACCES", "EPERM", "EROFS"].includes(systemCode(error) ?? "");
  if (!refused) return failure;
  return new DewyError("unauthorized", failure.message, {
    cause: error,
    hint: "let dewy write there, or turn reports off with --no-report",
  });
}
