import { describe, expect, test } from "bun:test";
import { FakeClock } from "../support/clock.ts";
import { HttpHost, type Reply, type SeenRequest } from "../support/http-host.ts";
import { basic } from "../support/oci-registry.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";
import {
  c,
  failureOf,
  imageManifest,
  jsonReply,
  manifestReply,
  openOn,
  repository,
  tagsReply,
} from "./fixture.ts";

const login = { DOCKER_USERNAME: "user", DOCKER_PASSWORD: "s3cret" };
const basicLogin = basic({ username: "user", password: "s3cret" });

interface Question {
  readonly method: string;
  readonly authorization: string | null;
  readonly asked: URLSearchParams;
}

interface Guarded extends AsyncDisposable {
  readonly registry: HttpHost;
  readonly tokens: HttpHost;
  /** What the token server was asked. */
  questions(): Question[];
  /** The Authorization headers the registry got. */
  sent(): (string | null)[];
  /** Ends the tokens given out so far. */
  revoke(): void;
}

interface GuardOptions {
  readonly scope?: (request: SeenRequest) => string;
  readonly token?: (count: number, asked: Question) => Reply;
  readonly realm?: (tokens: HttpHost, registry: () => HttpHost) => string;
  readonly challenge?: string;
}

/** A registry that takes the tokens its token server gives out, each with a number. */
async function guarded(options: GuardOptions = {}): Promise<Guarded> {
  let count = 0;
  let validFrom = 1;
  const questions: Question[] = [];
  const tokens = await HttpHost.start((request) => {
    const asked = questionOf(request);
    questions.push(asked);
    count += 1;
    return options.token?.(count, asked) ?? jsonReply({ token: `t${count}`, expires_in: 300 });
  });
  const registry: HttpHost = await HttpHost.start((request) => {
    const number = Number(/^Bearer t(\d+)/.exec(request.headers.get("authorization") ?? "")?.[1] ?? 0);
    if (number >= validFrom) return answer(request);
    const realm = options.realm?.(tokens, () => registry) ?? `${tokens.origin}/token`;
    const scope = options.scope?.(request) ?? `repository:${repository}:pull`;
    const challenge = options.challenge ?? `Bearer realm="${realm}",service="reg",scope="${scope}"`;
    return { status: 401, headers: { "WWW-Authenticate": challenge } };
  });
  return {
    registry,
    tokens,
    questions: () => questions,
    sent: () => registry.requests.map((request) => request.headers.get("authorization")),
    revoke: () => {
      validFrom = count + 1;
    },
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await tokens[Symbol.asyncDispose]();
    },
  };
}

function questionOf(request: SeenRequest): Question {
  const { method } = request;
  const text = method === "POST" ? Buffer.from(request.body).toString() : (request.path.split("?")[1] ?? "");
  return { method, authorization: request.headers.get("authorization"), asked: new URLSearchParams(text) };
}

function answer(request: SeenRequest): Reply {
  return request.path.includes("/tags/list") ? tagsReply(["v1.0.0"]) : manifestReply(imageManifest("1"));
}

describe("tokens", () => {
  test("one serves both requests of a poll and those of later polls, until it ends", async () => {
    await using host = await guarded();
    const clock = new FakeClock();
    await using opened = openOn(host.registry.origin, { clock }).registry;
    for (let poll = 0; poll < 3; poll++) await opened.latest(c);
    expect(host.sent()).toEqual([null, ...Array<string>(6).fill("Bearer t1")]);
    expect(host.questions()).toHaveLength(1);
    await clock.advance(295_000);
    await opened.latest(c);
    expect(host.questions()).toHaveLength(2);
    expect(host.sent().at(-1)).toBe("Bearer t2");
  });

  test.each<[string, object, Record<string, string>, number, number]>([
    ["nothing said: a minute", { token: "t" }, {}, 54_000, 55_000],
    ["expires_in", { token: "t", expires_in: 300 }, {}, 294_000, 295_000],
    [
      "made earlier, by the server's clock",
      { token: "t", expires_in: 300, issued_at: "2020-01-01T00:00:00Z" },
      { Date: "Wed, 01 Jan 2020 00:01:40 GMT" },
      194_000,
      195_000,
    ],
    ["access_token", { access_token: "t", expires_in: 60 }, {}, 54_000, 55_000],
  ])("live as long as the answer says: %s", async (_, body, headers, lives, ends) => {
    await using host = await guarded({
      token: (count) => jsonReply(JSON.parse(JSON.stringify(body).replace('"t"', `"t${count}"`)), headers),
    });
    const clock = new FakeClock();
    await using opened = openOn(host.registry.origin, { clock }).registry;
    await opened.latest(c);
    await clock.advance(lives);
    await opened.latest(c);
    expect(host.questions()).toHaveLength(1);
    await clock.advance(ends - lives);
    await opened.latest(c);
    expect(host.questions()).toHaveLength(2);
  });

  test("one that is refused early is renewed once, and the registry is not blamed", async () => {
    await using host = await guarded();
    await using opened = openOn(host.registry.origin).registry;
    await opened.latest(c);
    host.revoke();
    expect((await opened.latest(c)).release?.tag).toBe("v1.0.0");
    expect(host.questions()).toHaveLength(2);
  });

  test("a registry that takes none is asked twice, not for ever, and then left alone", async () => {
    await using host = await guarded({ token: () => jsonReply({ token: "useless" }) });
    await using opened = openOn(host.registry.origin, { env: login }).registry;
    const error = await failureOf(opened.latest(c));
    expect(error).toMatchObject({ code: "unauthorized", hint: expect.stringContaining("DOCKER_USERNAME") });
    expect(host.registry.requests).toHaveLength(2);
    expect((await failureOf(opened.latest(c))).code).toBe("rate-limited");
    expect(host.registry.requests).toHaveLength(2);
  });

  test("one that may not is dropped, so that a right given meanwhile counts at the next poll", async () => {
    await using host = await guarded();
    await using opened = openOn(host.registry.origin, { env: login }).registry;
    await opened.latest(c);
    host.registry.fail({ reply: { status: 403 } }, { path: /manifests/ });
    expect(await failureOf(opened.latest(c))).toMatchObject({
      code: "unauthorized",
      hint: expect.stringContaining("the login from DOCKER_USERNAME"),
    });
    await opened.latest(c);
    expect(host.questions()).toHaveLength(2);
    expect(host.sent().at(-1)).toBe("Bearer t2");
  });

  test("every action of every scope is asked for", async () => {
    await using host = await guarded({ scope: () => "repository:team/app:pull,push registry:catalog:*" });
    await using opened = openOn(host.registry.origin).registry;
    await opened.latest(c);
    expect(host.questions()[0]?.asked.getAll("scope")).toEqual([
      "repository:team/app:pull,push",
      "registry:catalog:*",
    ]);
    expect(host.questions()[0]?.asked.get("service")).toBe("reg");
  });

  test("a registry with another scope for each kind of request is challenged once for each", async () => {
    const actionFor = (path: string) => (path.includes("/tags/list") ? "metadata_read" : "pull");
    const tokens = await HttpHost.start((request) => {
      const scope = questionOf(request).asked.get("scope") ?? "";
      return jsonReply({ token: scope.split(":")[2], expires_in: 300 });
    });
    await using registry = await HttpHost.start((request) => {
      const action = actionFor(request.path);
      if (request.headers.get("authorization") === `Bearer ${action}`) return answer(request);
      const challenge = `Bearer realm="${tokens.origin}/token",scope="repository:team/app:${action}"`;
      return { status: 401, headers: { "WWW-Authenticate": challenge } };
    });
    await using _ = tokens;
    await using opened = openOn(registry.origin).registry;
    for (let poll = 0; poll < 3; poll++) await opened.latest(c);
    expect(tokens.requests).toHaveLength(2);
    expect(registry.requests.filter((request) => request.status === 401)).toHaveLength(2);
  });

  test.each<[string, Reply]>([
    ["HTML", { status: 200, headers: { "Content-Type": "text/html" }, body: "<p>Log in" }],
    ["no token", jsonReply({ expires_in: 300 })],
    ["one that would break the header", jsonReply({ token: "a\r\nX-Evil: 1" })],
    ["an endless one", jsonReply({ token: "x".repeat(100_000) })],
  ])("an answer that is none is told: %s", async (_, reply) => {
    await using host = await guarded({ token: () => reply });
    await using opened = openOn(host.registry.origin).registry;
    expect((await failureOf(opened.latest(c))).code).toBe("bad-answer");
  });
});

describe("a login", () => {
  test("goes to the token server with Basic, and never to the registry", async () => {
    await using host = await guarded();
    await using opened = openOn(host.registry.origin, { env: login }).registry;
    await opened.latest(c);
    expect(host.questions()).toMatchObject([{ method: "GET", authorization: basicLogin }]);
    expect(host.questions()[0]?.asked.get("account")).toBe("user");
    expect(JSON.stringify(host.sent())).not.toContain("Basic");
  });

  test("with an identity token is a form by POST, as OAuth2 has it", async () => {
    using home = tempDir();
    await using host = await guarded();
    const auths = { [new URL(host.registry.origin).host]: { auth: btoa("x:y"), identitytoken: "id-s3cret" } };
    await Bun.write(`${home.path}/config.json`, JSON.stringify({ auths }));
    await using opened = openOn(host.registry.origin, { env: { DOCKER_CONFIG: home.path } }).registry;
    await opened.latest(c);
    const [question] = host.questions();
    expect(question).toMatchObject({ method: "POST", authorization: null });
    expect(Object.fromEntries(question?.asked ?? [])).toEqual({
      service: "reg",
      scope: `repository:${repository}:pull`,
      grant_type: "refresh_token",
      client_id: "dewy",
      refresh_token: "id-s3cret",
    });
  });

  test("that the token server refuses is told without the secret, and it is left alone for a while", async () => {
    await using host = await guarded({ token: () => ({ status: 401 }) });
    await using opened = openOn(host.registry.origin, { env: login }).registry;
    const error = await failureOf(opened.latest(c));
    expect(error).toMatchObject({ code: "unauthorized", hint: expect.stringContaining("DOCKER_USERNAME") });
    expect(JSON.stringify([error.message, error.hint])).not.toMatch(/s3cret|dXNlcjpzM2NyZXQ/);
    expect((await failureOf(opened.latest(c))).code).toBe("rate-limited");
    expect(host.questions()).toHaveLength(1);
  });

  test.each(["Basic realm=x", 'Basic realm="reg", Negotiate'])(
    "by Basic where asked so: %s",
    async (challenge) => {
      const host = await HttpHost.start((request) =>
        request.headers.get("authorization") === basicLogin
          ? answer(request)
          : { status: 401, headers: { "WWW-Authenticate": challenge } },
      );
      await using _ = host;
      await using opened = openOn(host.origin, { env: login }).registry;
      await opened.latest(c);
      await opened.latest(c);
      expect(host.requests.filter((request) => request.status === 401)).toHaveLength(1);
      await using nobody = openOn(host.origin).registry;
      const error = await failureOf(nobody.latest(c));
      expect(error).toMatchObject({ code: "unauthorized", hint: expect.stringContaining("docker login") });
    },
  );

  test("of an unknown kind is told", async () => {
    await using host = await guarded({ challenge: "Negotiate" });
    await using opened = openOn(host.registry.origin, { env: login }).registry;
    expect((await failureOf(opened.latest(c))).message).toContain("kind of login");
  });

  test.each<[string, (tokens: HttpHost) => string]>([
    ["unencrypted, elsewhere", () => "http://auth.example.invalid/token"],
    ["no URL of a server", () => "ftp://auth.example.invalid/token"],
  ])("goes to no token server that is %s", async (_, realm) => {
    await using host = await guarded({ realm });
    await using opened = openOn(host.registry.origin, { env: login }).registry;
    expect((await failureOf(opened.latest(c))).code).toBe("bad-answer");
    expect(host.questions()).toEqual([]);
  });

  test("a redirect to another host takes no token along, and its challenge is not answered", async () => {
    await using other = await guarded();
    await using host = await HttpHost.start(() => ({
      status: 307,
      headers: { Location: `${other.registry.origin}/v2/${repository}/tags/list` },
    }));
    await using opened = openOn(host.origin, { env: login }).registry;
    expect((await failureOf(opened.latest(c))).code).toBe("unauthorized");
    expect(other.questions()).toEqual([]);
    expect(other.sent()).toEqual([null]);
  });
});

describe("a connection without encryption", () => {
  /** An address of this machine that is no loopback, so that a server can be reached there. */
  const host = "10.1.2.3:5000";

  test.each<[string, string, boolean]>([
    ["is not shown the login unless that was asked for", "", false],
    ["is shown it with insecure=true", "?insecure=true", true],
  ])("%s", async (_, query, shown) => {
    const log = recordingLog();
    const { images } = openOn(host, { env: login, query, log });
    expect(await images.credentials(c)).toEqual(
      shown ? { kind: "password", username: "user", password: "s3cret" } : null,
    );
    await images.credentials(c);
    expect(log.at("warn")).toEqual([
      shown ? "Registry credentials are sent unencrypted" : "Registry credentials withheld",
    ]);
    expect(JSON.stringify(log.records)).not.toContain("s3cret");
  });

  test("is no worry on loopback, nor where there is no login", async () => {
    const log = recordingLog();
    expect(await openOn("127.0.0.1:1", { env: login, log }).images.credentials(c)).not.toBeNull();
    expect(await openOn(host, { log }).images.credentials(c)).toBeNull();
    expect(log.records).toEqual([]);
  });
});
