import type { ProxyStats } from "../../src/proxy/observer.ts";
import { freePort } from "./free-port.ts";

export type ChildState = ProxyStats & { readonly cpuMs: number; readonly rssBytes: number };

export interface ProxyChild extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** After it did what it was told, see tcp-proxy-process.ts. */
  state(command?: string): Promise<ChildState>;
}

/** A proxy in a process of its own, with a descriptor limit if one is given. */
export async function startProxyChild(options: {
  backend: number;
  maxConnections?: number;
  descriptors?: number;
}): Promise<ProxyChild> {
  const port = freePort();
  const script = new URL("tcp-proxy-process.ts", import.meta.url).pathname;
  const most = options.maxConnections?.toString() ?? "default";
  const run = [process.execPath, script, `${port}`, `${options.backend}`, most];
  const limited = ["/bin/sh", "-c", `ulimit -n ${options.descriptors ?? 4096}; exec "$@"`, "sh", ...run];
  const child = Bun.spawn(limited, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const lines = linesOf(child.stdout);
  await lines.next();
  return {
    port,
    pid: child.pid,
    async state(command = "") {
      child.stdin.write(`${command}\n`);
      child.stdin.flush();
      const { value } = await lines.next();
      return JSON.parse(value ?? "null");
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    yield* lines;
  }
  throw new Error("the proxy's process ended");
}
