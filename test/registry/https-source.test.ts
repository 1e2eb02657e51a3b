import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { makeAuthority } from "../support/authority.ts";
import { HttpHost } from "../support/http-host.ts";
import { tempDir } from "../support/temp-dir.ts";
import { type Fetched, fetched, type Order } from "./https-fetch.ts";

setDefaultTimeout(30_000);

const directory = tempDir();
const authority = makeAuthority(directory.path);
const content = "bytes of the app";
const seen: Headers[] = [];
let plain: HttpHost;
let server: Bun.Server<undefined>;

beforeAll(async () => {
  plain = await HttpHost.start(() => ({ status: 200, body: content }));
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    reusePort: false,
    tls: authority.issue("IP:127.0.0.1", 2),
    fetch(request) {
      seen.push(request.headers);
      return respond(new URL(request.url).pathname, request.headers);
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  await plain[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

function respond(path: string, headers: Headers): Response {
  if (path === "/moved") return Response.redirect("/v1/app.zip", 302);
  if (path === "/downgrade") return Response.redirect(`${plain.origin}/app.zip`, 302);
  if (path !== "/v1/app.zip") return new Response(null, { status: Number(path.slice(1)) });
  const etag = '"one"';
  const start = Number(/^bytes=(\d+)-$/.exec(headers.get("range") ?? "")?.[1] ?? 0);
  if (start === 0 || headers.get("if-range") !== etag) {
    return new Response(content, { headers: { ETag: etag, "Accept-Ranges": "bytes" } });
  }
  const range = `bytes ${start}-${content.length - 1}/${content.length}`;
  return new Response(content.slice(start), { status: 206, headers: { ETag: etag, "Content-Range": range } });
}

/** In a process that trusts the server's authority, or in one that does not. */
async function fetchIt(path: string, resume: Order["resume"] = null, trusting = true): Promise<Fetched> {
  seen.length = 0;
  const order: Order = { url: `https://127.0.0.1:${server.port}${path}`, resume };
  const env = { ...process.env, NO_PROXY: "127.0.0.1", ...(trusting ? { SSL_CERT_FILE: authority.ca } : {}) };
  const child = Bun.spawn([process.execPath, "test/registry/https-fetch.ts", JSON.stringify(order)], { env });
  return JSON.parse(await new Response(child.stdout).text());
}

describe("an https:// artifact", () => {
  test("is fetched without credentials", async () => {
    expect(await fetchIt("/v1/app.zip")).toEqual({
      text: content,
      offset: 0,
      totalBytes: 16,
      validator: '"one"',
    });
    expect(seen[0]?.has("authorization")).toBe(false);
    expect(seen[0]?.get("accept-encoding")).toBe("identity");
  });

  test("goes on where it was cut, or from its beginning when it changed", async () => {
    expect(await fetchIt("/v1/app.zip", { offset: 6, validator: '"one"' })).toMatchObject({
      text: "of the app",
      offset: 6,
      totalBytes: 16,
    });
    expect(await fetchIt("/v1/app.zip", { offset: 6, validator: '"old"' })).toMatchObject({
      text: content,
      offset: 0,
    });
  });

  test("is followed to another place, but not out of TLS", async () => {
    expect(await fetchIt("/moved")).toMatchObject({ text: content });
    expect(await fetchIt("/downgrade")).toMatchObject({ code: "bad-answer" });
    expect(plain.requests).toEqual([]);
  });

  test.each<[string, Partial<Fetched>]>([
    ["/404", { code: "artifact-missing" }],
    ["/410", { code: "artifact-missing" }],
    ["/401", { code: "unauthorized", hint: expect.stringContaining("no credentials") }],
    ["/403", { code: "unauthorized", hint: expect.stringContaining("no credentials") }],
    ["/500", { code: "http-status" }],
  ])("%s", async (path, expected) => {
    expect(await fetchIt(path)).toMatchObject(expected);
  });

  test("of a server that is not trusted is not fetched", async () => {
    expect(await fetchIt("/v1/app.zip", null, false)).toMatchObject({
      code: "network-unreachable",
      hint: expect.stringContaining("SSL_CERT_FILE"),
    });
    expect(seen).toEqual([]);
  });

  test.each([
    "http://%/app.zip",
    "https://user:secret@%/app.zip",
    "https://user@%/app.zip",
    "file:///etc/passwd",
    "app.zip",
  ])("%s is none", async (template) => {
    const url = template.replace("%", plain.origin.replace("http://", ""));
    const failure = await fetched({ url, resume: null });
    expect(failure).toMatchObject({ code: "artifact-missing" });
    expect(failure.message).not.toContain("secret");
    expect(plain.requests).toEqual([]);
  });
});
