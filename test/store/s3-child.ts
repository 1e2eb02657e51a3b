import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DewyError } from "../../src/errors.ts";
import { tempDir } from "../support/temp-dir.ts";
import { openAt } from "./s3-fixture.ts";

/**
 * A process of its own, since the AWS library and Bun read the environment by themselves: `<url> look` looks at one
 * key, `<url> work` does everything once. Prints what came of it as JSON.
 */
const c = { signal: AbortSignal.timeout(60_000) };

async function work(url: string): Promise<unknown> {
  using dir = tempDir();
  await using store = openAt(url, process.env);
  const path = join(dir.path, "in");
  const content = Buffer.alloc(20 * 1024 * 1024, "a proxy's content");
  await Bun.write(path, content);
  const digest = `sha256:${Bun.SHA256.hash(content, "hex")}` as const;
  await store.put("small", Buffer.from("one"), { ifVersion: null }, c);
  for (let turn = 0; turn < 10; turn++) await store.head("small", c);
  const small = await store.get("small", null, c);
  const read = Buffer.concat(await Array.fromAsync(small?.chunks ?? [])).toString();
  await store.putFile("large", { path, digest }, c);
  const fetched = await store.fetchFile("large", join(dir.path, "out"), c);
  const same = readFileSync(join(dir.path, "out")).equals(content);
  const keys = (await Array.fromAsync(store.list("", {}, c))).map(({ key }) => key);
  await store.delete("small", c);
  return { read, fetched: fetched === digest, same, keys };
}

async function look(url: string): Promise<unknown> {
  await using store = openAt(url, process.env);
  return { key: (await store.head("key", c))?.key ?? null };
}

const [url = "", what] = process.argv.slice(2);
try {
  console.log(JSON.stringify(await (what === "work" ? work(url) : look(url))));
} catch (error) {
  if (!(error instanceof DewyError)) throw error;
  const { code, message, hint } = error;
  console.log(JSON.stringify({ code, message, hint }));
}
process.exit();
