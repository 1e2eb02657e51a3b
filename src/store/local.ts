import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { DewyError, systemCode, toDewyError } from "../errors.ts";
import type { Digest } from "../release/release.ts";
import type { ResumePoint } from "../release/source.ts";
import { abortable, type Call } from "../util/async.ts";
import { exists, syncDirectory } from "../util/fs.ts";
import { nameIfFree, tryLink } from "../util/link.ts";
import { partialPath } from "../util/partial.ts";
import { pour } from "../util/pour.ts";
import { FileChunks, openFile, statFile, updatedAtOf, versionOf } from "./local/file.ts";
import { listDirectory } from "./local/listing.ts";
import { pathOfKey } from "./local/names.ts";
import { readSidecar } from "./local/sidecar.ts";
import { copyDurable, removeQuietly } from "./local/transfer.ts";
import { LocalWriter, requireDirectory } from "./local/writer.ts";
import type { ObjectEntry, ObjectStore, StoredInfo, StoredObject } from "./store.ts";

/** `file:///dir`: an absolute directory other than the root. The query is the caller's to read. */
export function readLocalUrl(url: URL): { readonly directory: string } {
  if (url.host !== "" || /^\/*$/.test(url.pathname) || url.hash !== "") {
    throw new DewyError("config-invalid", "the URL does not name an absolute directory", {
      hint: "write file:///srv/releases, with three slashes",
    });
  }
  const directory = fileURLToPath(new URL(url.pathname, "file://"));
  return { directory: directory.replace(/\/+$/, "") };
}

/**
 * A directory as a store, which hosts may share (NFS): one file an object, as anybody may put it there. Reading
 * creates nothing. Keys that are directories of others (`a` beside `a/b`) can't be, and a directory that somebody
 * made counts as a prefix even when nothing is in it.
 */
export function openLocalStore(directory: string): ObjectStore {
  const writer = new LocalWriter(directory);
  const pathOf = (key: string) => pathOfKey(directory, key);
  return {
    url: pathToFileURL(directory).href,
    head: (key, c) => guard(`look at ${key}`, () => abortable(headOf(pathOf(key), key), c.signal), c),
    get: (key, from, c) => guard(`read ${key}`, () => getObject(pathOf(key), key, from, c), c),
    put: (key, body, { ifVersion }, c) => guard(`write ${key}`, () => writer.put(key, body, ifVersion, c), c),
    putFile: (key, file, c) => guard(`write ${key}`, () => writer.putFile(key, file, c), c),
    fetchFile: (key, toPath, c) => guard(`fetch ${key}`, () => fetchObject(pathOf(key), key, toPath, c), c),
    delete: (key, c) => guard(`delete ${key}`, () => writer.delete(key), c),
    list: (prefix, { delimiter }, c) => listObjects(directory, prefix, delimiter, c),
    async [Symbol.asyncDispose]() {},
  };
}

async function guard<T>(doing: string, work: () => Promise<T>, c: Call): Promise<T> {
  try {
    c.signal.throwIfAborted();
    return await work();
  } catch (error) {
    c.signal.throwIfAborted();
    throw toDewyError(error, doing);
  }
}

async function headOf(path: string, key: string): Promise<StoredInfo | null> {
  const found = await statFile(path);
  if (found === null) return null;
  return {
    key,
    sizeBytes: Number(found.size),
    version: versionOf(found),
    updatedAt: updatedAtOf(found),
    digest: await readSidecar(path, found.ino),
  };
}

async function getObject(
  path: string,
  key: string,
  from: ResumePoint | null,
  c: Call,
): Promise<StoredObject | null> {
  const opening = openObject(path, key, from, c);
  try {
    return await abortable(opening, c.signal);
  } catch (error) {
    // What opens when nobody waits for it any more is closed again.
    void opening.then(
      (late) => late?.chunks[Symbol.asyncIterator]().return?.(),
      () => undefined,
    );
    throw error;
  }
}

async function openObject(
  path: string,
  key: string,
  from: ResumePoint | null,
  c: Call,
): Promise<StoredObject | null> {
  const opened = await openFile(path);
  if (opened === null) return null;
  const { handle, stat } = opened;
  try {
    const [sizeBytes, version] = [Number(stat.size), versionOf(stat)];
    const offset = from !== null && from.validator === version && from.offset <= sizeBytes ? from.offset : 0;
    const digest = await readSidecar(path, stat.ino);
    const chunks = new FileChunks(handle, key, offset, sizeBytes, c);
    return { key, sizeBytes, version, updatedAt: updatedAtOf(stat), digest, offset, chunks };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** As a link where that can be had: it costs nothing, and nobody changes a stored file. */
async function fetchObject(path: string, key: string, toPath: string, c: Call): Promise<Digest | null> {
  if ((await statFile(path)) === null) return null;
  const partial = partialPath(toPath);
  try {
    const digest = await takeCopy(path, partial, c);
    if (digest === null) return null;
    c.signal.throwIfAborted();
    if (!(await nameIfFree(partial, toPath))) {
      throw new DewyError("filesystem", `fetch ${key}: ${toPath} is there already`, { retryable: false });
    }
    await syncDirectory(dirname(toPath));
    return digest;
  } catch (error) {
    // Gone between the look and the link.
    if (systemCode(error) === "ENOENT" && (await exists(dirname(toPath)))) return null;
    throw error;
  } finally {
    await removeQuietly(partial);
  }
}

/** Checked against what its writer said; null when it went meanwhile. */
async function takeCopy(path: string, partial: string, c: Call): Promise<Digest | null> {
  const linked = await tryLink(path, partial);
  const opened = await openFile(linked ? partial : path);
  if (opened === null) return null;
  await using handle = opened.handle;
  const digest = linked ? await pour(handle, null, c) : await copyDurable(handle, partial, c);
  const said = await readSidecar(path, opened.stat.ino);
  if (said === null || said === digest) return digest;
  throw new DewyError("digest-mismatch", `${path}: has ${digest}, stored as ${said}`, {
    hint: "remove the file: it is not what its writer stored",
  });
}

async function* listObjects(
  directory: string,
  prefix: string,
  delimiter: string | undefined,
  c: Call,
): AsyncGenerator<ObjectEntry> {
  try {
    c.signal.throwIfAborted();
    await abortable(requireDirectory(directory), c.signal);
    yield* listDirectory(directory, prefix, delimiter, c);
  } catch (error) {
    c.signal.throwIfAborted();
    throw toDewyError(error, `list ${directory}`);
  }
}
