import { describe, expect, test } from "bun:test";
import { FakeClock } from "../support/clock.ts";
import { HttpHost, type Reply, type SeenRequest } from "../support/http-host.ts";
import { recordingLog } from "../support/recording.ts";
import {
  c,
  failureOf,
  imageManifest,
  manifestReply,
  notFound,
  openOn,
  repository,
  tagsReply,
} from "./fixture.ts";

const listPath = `/v2/${repository}/tags/list`;

/** A registry with these pages of tags, and an image under each tag. */
function withTags(page: (request: SeenRequest, origin: string) => Reply | Promise<Reply>): Promise<HttpHost> {
  const started: Promise<HttpHost> = HttpHost.start(async (request) => {
    const { origin } = await started;
    return request.path.startsWith(listPath) ? page(request, origin) : manifestReply(imageManifest("1"));
  });
  return started;
}

function lists({ requests }: HttpHost): string[] {
  return requests.map(({ path }) => path).filter((path) => path.startsWith(listPath));
}

describe("a list of tags in pages", () => {
  test.each<[string, (origin: string) => string]>([
    ["a relative link", () => `<${listPath}?n=1000&last=v1.0.0>; rel="next"`],
    ["an absolute one", (origin) => `<${origin}${listPath}?n=1000&last=v1.0.0>; rel="next"`],
    ["without quotes", () => `<${listPath}?n=1000&last=v1.0.0>; rel=next`],
    ["among others", () => `</first>; rel="first", <${listPath}?n=1000&last=v1.0.0>; rel="next"`],
    // As registries behind a proxy write it: their own scheme, port or path.
    ["with another scheme", () => `<https://127.0.0.1${listPath}?n=1000&last=v1.0.0>; rel="next"`],
    ["with another path", () => `</repository/x${listPath}?n=1000&last=v1.0.0>; rel="next"`],
  ])("is read to its end: %s", async (_, link) => {
    await using host = await withTags((request, origin) =>
      request.path.includes("last=") ? tagsReply(["v2.0.0"]) : tagsReply(["v1.0.0"], { Link: link(origin) }),
    );
    await using opened = openOn(host.origin).registry;
    expect((await opened.latest(c)).release?.tag).toBe("v2.0.0");
    expect(lists(host)).toEqual([`${listPath}?n=1000`, `${listPath}?n=1000&last=v1.0.0`]);
  });

  test("that goes on at another host is refused: the login would go there", async () => {
    await using other = await withTags(() => tagsReply(["v9.9.9"]));
    const elsewhere = other.origin.replace("127.0.0.1", "localhost");
    await using host = await withTags(() =>
      tagsReply(["v1.0.0"], { Link: `<${elsewhere}${listPath}?last=v1.0.0>; rel="next"` }),
    );
    await using opened = openOn(host.origin).registry;
    expect((await failureOf(opened.latest(c))).message).toContain("on another host");
    expect(other.requests).toEqual([]);
  });

  test.each<[string, (count: number) => string]>([
    ["leads back", () => `${listPath}?n=1000`],
    ["leads to itself by no query", () => listPath],
    ["never ends", (count) => `${listPath}?last=${count}`],
  ])("that %s is given up", async (_, next) => {
    let count = 0;
    await using host = await withTags(() => {
      count += 1;
      return tagsReply(["v1.0.0"], { Link: `<${next(count)}>; rel="next"` });
    });
    await using opened = openOn(host.origin).registry;
    expect((await failureOf(opened.latest(c))).message).toContain("the pages do not end");
    expect(count).toBeLessThanOrEqual(500);
  });

  test("with an ETag is asked for conditionally, page by page", async () => {
    const tags = new Map([
      ["1", ["v1.0.0"]],
      ["2", ["v1.1.0"]],
    ]);
    await using host = await withTags((request) => {
      const page = request.path.includes("last=") ? "2" : "1";
      const etag = `"${tags.get(page)?.join()}"`;
      const link: Record<string, string> = page === "1" ? { Link: `<${listPath}?last=x>; rel="next"` } : {};
      if (request.headers.get("if-none-match") === etag) return { status: 304, headers: { ETag: etag } };
      return tagsReply(tags.get(page) ?? [], { ETag: etag, ...link });
    });
    await using opened = openOn(host.origin).registry;
    await opened.latest(c);
    expect((await opened.latest(c)).release?.tag).toBe("v1.1.0");
    tags.set("2", ["v1.2.0"]);
    expect((await opened.latest(c)).release?.tag).toBe("v1.2.0");
    const statuses = host.requests
      .filter(({ path }) => path.startsWith(listPath))
      .map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 304, 304, 304, 200]);
  });

  test("in smaller pages than asked for is taken as the registry gives it, from then on", async () => {
    await using host = await withTags((request) =>
      request.path.includes("n=") ? { status: 400 } : tagsReply(["v1.0.0"]),
    );
    await using opened = openOn(host.origin).registry;
    await opened.latest(c);
    expect((await opened.latest(c)).release?.tag).toBe("v1.0.0");
    expect(lists(host)).toEqual([`${listPath}?n=1000`, listPath, listPath]);
  });

  test("refused in any size is an error", async () => {
    await using host = await withTags(() => ({ status: 400 }));
    await using opened = openOn(host.origin).registry;
    expect((await failureOf(opened.latest(c))).code).toBe("http-status");
  });
});

describe("a registry's answer", () => {
  test.each<[string, Reply, object]>([
    ["no such repository", notFound, { code: "not-found", hint: expect.stringContaining("name") }],
    ["no right", { status: 403 }, { code: "unauthorized", hint: expect.stringContaining("docker login") }],
    [
      "HTML",
      { status: 200, headers: { "Content-Type": "text/html" }, body: "<p>Log in" },
      { code: "bad-answer", message: expect.stringContaining("text/html") },
    ],
    ["JSON of another kind", { status: 200, body: '{"tags":{"a":1}}' }, { code: "bad-answer" }],
    [
      "a list without end",
      { status: 200, body: `{"tags":[${" ".repeat(17 * 1024 * 1024)}]}` },
      { code: "bad-answer" },
    ],
    [
      "a limit",
      { status: 429, headers: { "Retry-After": "77" } },
      { code: "rate-limited", retryAfterMs: 77_000 },
    ],
    ["an outage", { status: 503 }, { code: "http-status", retryable: true }],
  ])("that cannot be used is told: %s", async (_, reply, expected) => {
    await using host = await withTags(() => reply);
    await using opened = openOn(host.origin).registry;
    expect(await failureOf(opened.latest(c))).toMatchObject(expected);
  });

  test("that asks for patience is respected: no further request until then", async () => {
    await using host = await withTags(() => tagsReply(["v1.0.0"]));
    const clock = new FakeClock();
    await using opened = openOn(host.origin, { clock }).registry;
    host.fail({ reply: { status: 429, headers: { "Retry-After": "77" } } });
    await failureOf(opened.latest(c));
    expect(await failureOf(opened.latest(c))).toMatchObject({ code: "rate-limited" });
    expect(host.requests).toHaveLength(1);
    await clock.advance(77_000);
    expect((await opened.latest(c)).release?.tag).toBe("v1.0.0");
  });

  test.each<[string, { hang: true } | { hangAfter: number }]>([
    ["never comes", { hang: true }],
    ["stops in the middle", { hangAfter: 5 }],
  ])("that %s ends after 30 s", async (_, failure) => {
    await using host = await withTags(() => tagsReply(["v1.0.0"]));
    host.fail(failure);
    const clock = new FakeClock();
    await using opened = openOn(host.origin, { clock }).registry;
    const asked = failureOf(opened.latest(c));
    // The whole answer's deadline, and the one of silence.
    await clock.whenSleeping(2);
    await clock.advance(30_000);
    expect((await asked).code).toBe("network-timeout");
    await clock.advance(0);
    expect(clock.sleeping).toBe(0);
  });

  test("that is aborted ends at once with the caller's reason", async () => {
    await using host = await withTags(() => tagsReply(["v1.0.0"]));
    host.fail({ hang: true });
    const stop = new AbortController();
    const clock = new FakeClock();
    await using opened = openOn(host.origin, { clock }).registry;
    const asked = opened.latest({ signal: stop.signal }).catch((error: unknown) => error);
    await clock.whenSleeping(2);
    const reason = new Error("shutting down");
    stop.abort(reason);
    expect(await asked).toBe(reason);
  });
});

describe("tags", () => {
  test("that can be none in a URL are none", async () => {
    const tags = ["v1.0.0", "../../v9.0.0", "v9.0.0?x=1", "v9.0.0/x", "", `v9.0.0-${"a".repeat(130)}`];
    await using host = await withTags(() => tagsReply(tags));
    await using opened = openOn(host.origin, { query: "?pre-release=true" }).registry;
    expect((await opened.latest(c)).release?.tag).toBe("v1.0.0");
  });

  test("all deleted (null) are no release", async () => {
    await using host = await withTags(() => tagsReply(null));
    await using opened = openOn(host.origin).registry;
    expect(await opened.latest(c)).toEqual({ release: null, otherSlot: null });
  });

  /** v1.2.0 and v1.1.0 are listed but gone. */
  async function careless(listed: readonly string[], there: (tag: string) => boolean): Promise<HttpHost> {
    return HttpHost.start(({ path }) => {
      if (path.startsWith(listPath)) return tagsReply(listed);
      return there(path.split("/").at(-1) ?? "") ? manifestReply(imageManifest("1")) : notFound;
    });
  }

  test("whose image is gone are passed over, with one warning each", async () => {
    await using host = await careless(["v1.0.0", "v1.1.0", "v1.2.0"], (tag) => tag === "v1.0.0");
    const log = recordingLog();
    await using opened = openOn(host.origin, { log }).registry;
    for (let poll = 0; poll < 2; poll++) expect((await opened.latest(c)).release?.tag).toBe("v1.0.0");
    expect(log.records.map(({ attributes }) => attributes["image"])).toEqual(
      ["v1.2.0", "v1.1.0"].map((tag) => `${host.origin.replace("http://", "")}/${repository}:${tag}`),
    );
  });

  test("whose image is gone end the search when they are many", async () => {
    const many = Array.from({ length: 100 }, (_, index) => `v1.${index}.0`);
    await using host = await careless(many, () => false);
    await using opened = openOn(host.origin).registry;
    expect((await failureOf(opened.latest(c))).code).toBe("not-found");
    expect(host.requests.length).toBeLessThan(30);
  });
});
