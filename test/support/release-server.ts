import { readFileSync } from "node:fs";
import type { Issued } from "./authority.ts";

/** Where releases of dewy lie, as GitHub has them: /download/TAG/FILE, and /latest/download/FILE leads there. */
export class ReleaseServer implements AsyncDisposable {
  /** Every file that was asked for, without the redirects. */
  readonly asked: string[] = [];
  /** Each request's user and password, as user:password. */
  readonly credentials: string[] = [];
  readonly #files = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #answers = new Map<string, Answer>();
  readonly #server: Bun.Server<undefined>;
  #latest = "";

  readonly #scheme: string;

  constructor(tls?: Issued) {
    this.#scheme = tls === undefined ? "http" : "https";
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      ...(tls === undefined ? {} : { tls: { cert: tls.cert, key: tls.key } }),
      fetch: (request) => {
        const basic = /^Basic (.*)$/.exec(request.headers.get("authorization") ?? "")?.[1];
        if (basic !== undefined) this.credentials.push(atob(basic));
        return this.#answer(new URL(request.url).pathname);
      },
    });
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.#server.port}`;
  }

  /** The newest from now on; with the installer that knows this server, and the sums of all files unless they are given. */
  publish(tag: string, files: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>): void {
    const installer = readFileSync("scripts/install.sh", "utf8").replace(
      /^releases_url=$/m,
      `releases_url=${this.url}`,
    );
    const all = Object.entries({ "install.sh": installer, ...files }).map(
      ([name, body]) => [name, typeof body === "string" ? new TextEncoder().encode(body) : body] as const,
    );
    const sums = all.map(([name, body]) => `${Bun.SHA256.hash(body, "hex")}  ${name}\n`).join("");
    this.#files.set(`/download/${tag}/SHA256SUMS`, new TextEncoder().encode(sums));
    for (const [name, body] of all) this.#files.set(`/download/${tag}/${name}`, body);
    this.#latest = tag;
  }

  /** From now on it says this whenever the file is asked for; null: the file again. */
  says(name: string, answer: Answer | null): void {
    if (answer === null) this.#answers.delete(name);
    else this.#answers.set(name, answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }

  #answer(path: string): Response | Promise<Response> {
    const newest = /^\/latest\/download\/(.*)$/.exec(path)?.[1];
    if (newest !== undefined && this.#latest !== "")
      return new Response(null, {
        status: 302,
        headers: { location: `${this.url}/download/${this.#latest}/${newest}` },
      });
    const name = path.split("/").at(-1) ?? "";
    this.asked.push(name);
    const body = this.#files.get(path);
    const answer = this.#answers.get(name);
    if (answer !== undefined) return answer(body ?? new Uint8Array());
    return body === undefined ? new Response("no such file", { status: 404 }) : new Response(body);
  }
}

export type Answer = (body: Uint8Array<ArrayBuffer>) => Response | Promise<Response>;

/** The file's own length, and a connection that ends in the middle. */
export const cut: Answer = (body) => {
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`);
        socket.write(body.subarray(0, body.length / 2));
        socket.end();
        listener.stop();
      },
    },
  });
  return new Response(null, { status: 302, headers: { location: `http://127.0.0.1:${listener.port}/` } });
};

export const page: Answer = () =>
  new Response("<!DOCTYPE html><title>Sign in</title>", { headers: { "content-type": "text/html" } });

export const gone: Answer = () => new Response("no such file", { status: 404 });

export const failing: Answer = () => new Response("sorry", { status: 503 });

export function refusing(status: number): Answer {
  return () => new Response("not for you", { status });
}

export const silent: Answer = () => new Promise<Response>(() => {});

/** Some bytes now and then, for ever. */
export const endless: Answer = () =>
  new Response(
    new ReadableStream({
      async pull(controller) {
        await Bun.sleep(20);
        controller.enqueue(new Uint8Array(64));
      },
    }),
  );

/** One byte is another. */
export const damaged: Answer = (body) => {
  const other = body.slice();
  other[other.length - 2] = (other.at(-2) ?? 0) ^ 1;
  return new Response(other);
};

/** Once like this, then the file. */
export function once(answer: Answer): Answer {
  let done = false;
  return (body) => {
    if (done) return new Response(body);
    done = true;
    return answer(body);
  };
}
