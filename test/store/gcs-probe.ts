import { copyFileSync } from "node:fs";
import { DewyError } from "../../src/errors.ts";
import { openGcsStore } from "../../src/store/gcs/store.ts";
import { gcsParams, readGcsUrl } from "../../src/store/gcs/url.ts";
import { readQuery } from "../../src/util/query.ts";
import { until } from "../support/until.ts";
import { storeDeps } from "./gcs-fixture.ts";

/** One step of a process of its own; `env` is set before it. */
export interface ProbeStep {
  readonly url: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly op:
    | "head"
    | "put"
    | "get"
    | "list"
    | "putFile"
    | "fetchFile"
    | "head, then head with another key file";
  readonly path?: string;
}

export interface ProbeOutcome {
  readonly value?: unknown;
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
  readonly retryable?: boolean;
}

/** `gcs-probe.ts '[step, …]'` writes `[outcome, …]`: what proxies, authorities and logins do is read at the start. */
async function main(steps: readonly ProbeStep[]): Promise<void> {
  const outcomes: ProbeOutcome[] = [];
  for (const step of steps) {
    for (const [name, value] of Object.entries(step.env ?? {})) process.env[name] = value;
    outcomes.push(await attempt(step));
  }
  console.log(JSON.stringify(outcomes));
}

async function attempt(step: ProbeStep): Promise<ProbeOutcome> {
  const c = { signal: AbortSignal.timeout(30_000) };
  try {
    const url = new URL(step.url);
    const options = readGcsUrl(url, readQuery(url, gcsParams));
    await using store = openGcsStore(options, { ...storeDeps(), env: { ...process.env } });
    return { value: await run(step, store, c) };
  } catch (error) {
    if (!(error instanceof DewyError)) return { code: "not a DewyError", message: String(error) };
    const { code, message, retryable, hint } = error;
    return { code, message, retryable, ...(hint === undefined ? {} : { hint }) };
  }
}

async function run(
  { op, path = "" }: ProbeStep,
  store: ReturnType<typeof openGcsStore>,
  c: { signal: AbortSignal },
) {
  switch (op) {
    case "head":
      return store.head("key", c);
    case "put":
      return store.put("key", new TextEncoder().encode("content"), {}, c);
    case "get": {
      const found = await store.get("key", null, c);
      return found === null ? null : Buffer.concat(await Array.fromAsync(found.chunks)).toString();
    }
    case "list":
      return (await Array.fromAsync(store.list("", {}, c))).map(({ key }) => key);
    case "putFile": {
      const bytes = await Bun.file(path).bytes();
      await store.putFile("key", { path, digest: `sha256:${Bun.SHA256.hash(bytes, "hex")}` }, c);
      return "done";
    }
    case "fetchFile":
      return store.fetchFile("key", path, c);
    case "head, then head with another key file": {
      const first: unknown = await store.head("key", c).catch((error: unknown) => error);
      copyFileSync(path, process.env["GOOGLE_APPLICATION_CREDENTIALS"] ?? "");
      // The governor leaves Google alone for a moment.
      return until("a second answer", async () => {
        const second: unknown = await store.head("key", c).catch((error: unknown) => error);
        if (second instanceof DewyError && second.code === "rate-limited") return null;
        return [first, second].map((each) => (each instanceof DewyError ? each.message : each));
      });
    }
  }
}

void main(JSON.parse(process.argv.at(-1) ?? "[]"));
