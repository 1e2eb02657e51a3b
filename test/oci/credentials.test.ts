import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CredentialStore } from "../../src/oci/credentials.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import { systemClock } from "../../src/util/time.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { c, failureOf } from "./fixture.ts";

type Env = Readonly<Record<string, string>>;

const nobody = { HOME: "/nonexistent", PATH: "/nonexistent" };

function find(image: string, env: Env, call = c) {
  const deps = { env, clock: systemClock, log: recordingLog() };
  return new CredentialStore(parseRepository(new URL(`img://${image}`), null), deps).find(call);
}

/** `name:password` of what is found for an image, `token` for an identity token, null for nothing. */
async function loginFor(image: string, env: Env): Promise<string | null> {
  const login = (await find(image, { ...nobody, ...env }))?.login;
  if (login === undefined) return null;
  return login.kind === "password" ? `${login.username}:${login.password}` : `token ${login.token}`;
}

/** A home with this `.docker/config.json`, and helper programs (shell scripts) on PATH. */
function dockerHome(config: unknown, helpers: Readonly<Record<string, string>> = {}) {
  const dir = tempDir();
  mkdirSync(join(dir.path, ".docker"));
  const text = typeof config === "string" ? config : JSON.stringify(config);
  writeFileSync(join(dir.path, ".docker", "config.json"), text);
  for (const [name, script] of Object.entries(helpers)) {
    const path = join(dir.path, `docker-credential-${name}`);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
  }
  return { ...dir, env: { HOME: dir.path, PATH: `${dir.path}:/usr/bin:/bin` } };
}

describe("credentials of the environment", () => {
  test.each<[string, string, string | null]>([
    ["ghcr.io/a/b", "GITHUB_TOKEN", "x-access-token:s"],
    ["ghcr.io:443/a/b", "GITHUB_TOKEN", "x-access-token:s"],
    ["123456789012.dkr.ecr.eu-west-1.amazonaws.com/app", "AWS_ECR_PASSWORD", "AWS:s"],
    ["gcr.io/p/app", "GCR_TOKEN", "oauth2accesstoken:s"],
    ["eu.gcr.io/p/app", "GCR_TOKEN", "oauth2accesstoken:s"],
    ["europe-west1-docker.pkg.dev/p/r/app", "GCR_TOKEN", "oauth2accesstoken:s"],
    ["ghcr.io:8443/a/b", "GITHUB_TOKEN", null],
    ["ghcr.io.evil.example/a", "GITHUB_TOKEN", null],
    ["notghcr.io/a", "GITHUB_TOKEN", null],
    ["docker.io/a", "GITHUB_TOKEN", null],
    ["x.dkr.ecr.eu-west-1.amazonaws.com.evil.example/app", "AWS_ECR_PASSWORD", null],
    ["dkr.ecr.eu-west-1.amazonaws.com/app", "AWS_ECR_PASSWORD", null],
    ["evilgcr.io/app", "GCR_TOKEN", null],
    ["docker.pkg.dev/app", "GCR_TOKEN", null],
    ["ghcr.io/a", "GCR_TOKEN", null],
  ])("%s with %s: %p", async (image, variable, login) => {
    expect(await loginFor(image, { [variable]: "s" })).toBe(login);
  });

  test("the most specific comes first: Docker's configuration, the host's variable, DOCKER_USERNAME", async () => {
    const all = { DOCKER_USERNAME: "u", DOCKER_PASSWORD: "p\n", GITHUB_TOKEN: "g" };
    expect(await loginFor("reg.example/a", all)).toBe("u:p");
    expect(await loginFor("docker.io/a", all)).toBe("u:p");
    expect(await loginFor("ghcr.io/a", all)).toBe("x-access-token:g");
    using home = dockerHome({ auths: { "ghcr.io": { username: "file", password: "f" } } });
    expect(await loginFor("ghcr.io/a", { ...all, ...home.env })).toBe("file:f");
    expect(await loginFor("reg.example/a", { ...all, ...home.env })).toBe("u:p");
  });

  test("a host's variable is never sent in the clear, even with insecure=true", async () => {
    const deps = { env: { ...nobody, GITHUB_TOKEN: "s" }, clock: systemClock, log: recordingLog() };
    const repository = parseRepository(new URL("img://ghcr.io/a"), true);
    expect(await new CredentialStore(repository, deps).find(c)).toBeNull();
  });

  test.each(["DOCKER_USERNAME", "DOCKER_PASSWORD"])("%s alone is an error", async (name) => {
    const error = await failureOf(loginFor("reg.example/a", { [name]: "s3cret" }));
    expect(error.code).toBe("config-invalid");
    expect(error.message).not.toContain("s3cret");
  });

  test("empty variables are none", async () => {
    expect(
      await loginFor("ghcr.io/a", { GITHUB_TOKEN: " ", DOCKER_USERNAME: "", DOCKER_PASSWORD: "" }),
    ).toBeNull();
  });
});

describe("Docker's configuration", () => {
  const auth = btoa("file:f:with:colons");
  test.each<[string, string, Record<string, object>, string | null]>([
    ["auth", "reg.example/a", { "reg.example": { auth } }, "file:f:with:colons"],
    ["with a scheme", "reg.example/a", { "https://reg.example": { auth } }, "file:f:with:colons"],
    ["with a version", "reg.example/a", { "https://reg.example/v2/": { auth } }, "file:f:with:colons"],
    ["in other case", "reg.example/a", { "Reg.Example": { auth } }, "file:f:with:colons"],
    ["with the usual port", "reg.example/a", { "reg.example:443": { auth } }, "file:f:with:colons"],
    ["padded", "reg.example/a", { "reg.example": { auth: btoa("u:p\0\0") } }, "u:p"],
    ["identity token", "reg.example/a", { "reg.example": { auth, identitytoken: "id" } }, "token id"],
    [
      "Docker Hub's own key",
      "docker.io/a",
      { "https://index.docker.io/v1/": { auth } },
      "file:f:with:colons",
    ],
    ["Docker Hub by name", "docker.io/a", { "docker.io": { auth } }, "file:f:with:colons"],
    ["another port is another host", "reg.example:5000/a", { "reg.example": { auth } }, null],
    ["another host", "reg.example/a", { "evil.example": { auth }, example: { auth } }, null],
    ["a path that only begins alike", "reg.example/team/app", { "reg.example/tea": { auth } }, null],
    ["a subdomain", "a.reg.example/a", { "reg.example": { auth } }, null],
    ["left empty by a helper", "reg.example/a", { "reg.example": {} }, null],
    [
      "the longest path that fits",
      "reg.example/team/app",
      {
        "reg.example": { username: "all", password: "p" },
        "reg.example/team": { username: "team", password: "p" },
        "reg.example/tea": { username: "tea", password: "p" },
      },
      "team:p",
    ],
  ])("auths: %s", async (_, image, auths, login) => {
    using home = dockerHome({ auths });
    expect(await loginFor(image, home.env)).toBe(login);
  });

  test("lies where DOCKER_CONFIG says, else in the home", async () => {
    using home = dockerHome({ auths: { "reg.example": { username: "home", password: "p" } } });
    using other = tempDir();
    writeFileSync(
      join(other.path, "config.json"),
      '{"auths":{"reg.example":{"username":"other","password":"p"}}}',
    );
    expect(await loginFor("reg.example/a", home.env)).toBe("home:p");
    expect(await loginFor("reg.example/a", { ...home.env, DOCKER_CONFIG: other.path })).toBe("other:p");
    expect(await loginFor("reg.example/a", { ...home.env, DOCKER_CONFIG: "/nonexistent" })).toBeNull();
  });

  test("is read anew, so that docker login takes effect while the agent runs", async () => {
    using home = dockerHome({});
    expect(await loginFor("reg.example/a", home.env)).toBeNull();
    const auths = { "reg.example": { username: "new", password: "p" } };
    writeFileSync(join(home.path, ".docker", "config.json"), JSON.stringify({ auths }));
    expect(await loginFor("reg.example/a", home.env)).toBe("new:p");
  });

  test.each<[string, unknown]>([
    ["no JSON", "s3cret {"],
    ["another shape", { auths: { "reg.example": { auth: ["s3cret"] } } }],
    ["no base64 of a login", { auths: { "reg.example": { auth: "s3cret" } } }],
    ["no name", { auths: { "reg.example": { auth: btoa(":s3cret") } } }],
    ["a password without a name", { auths: { "reg.example": { password: "s3cret" } } }],
    ["a bare registry token", { auths: { "reg.example": { registrytoken: "s3cret" } } }],
    ["a helper that is a path", { credsStore: "../../bin/s3cret" }],
  ])("that cannot be used is an error with a hint and no secret: %s", async (_, config) => {
    using home = dockerHome(config);
    const error = await failureOf(loginFor("reg.example/a", home.env));
    expect(error.code).toBe("config-invalid");
    expect(error.message).toContain(join(home.path, ".docker", "config.json"));
    expect(error.hint).toBeString();
    expect(`${error.message} ${error.hint} ${error.cause}`).not.toContain("s3cret");
  });

  test("that cannot be read is an error, not a missing file", async () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, "config.json"));
    const error = await failureOf(loginFor("reg.example/a", { DOCKER_CONFIG: dir.path }));
    expect(error).toMatchObject({ code: "config-invalid", message: expect.stringContaining("EISDIR") });
  });
});

describe("a credential helper", () => {
  const answers = (name: string) =>
    `read server; echo "{\\"Username\\":\\"${name}\\",\\"Secret\\":\\"$1 $server\\"}"`;

  test("is asked for the server by stdin, the one of the host before the one of all", async () => {
    using home = dockerHome(
      { credsStore: "all", credHelpers: { "reg.example": "one" } },
      { all: answers("all"), one: answers("one") },
    );
    expect(await loginFor("reg.example/a", home.env)).toBe("one:get reg.example");
    expect(await loginFor("other.example:5000/a", home.env)).toBe("all:get other.example:5000");
    expect(await loginFor("docker.io/a", home.env)).toBe("all:get https://index.docker.io/v1/");
  });

  test("may give an identity token", async () => {
    using home = dockerHome({ credsStore: "all" }, { all: answers("<token>") });
    expect(await loginFor("reg.example/a", home.env)).toBe("token get reg.example");
  });

  test.each<[string, string]>([
    ["as the protocol has it", "echo 'credentials not found in native keychain'; exit 1"],
    ["on stderr", "echo 'credentials not found in native keychain' >&2; exit 1"],
    ["by an empty answer", 'echo \'{"ServerURL":"x","Username":"","Secret":""}\''],
  ])("that has none leaves the search to the file and the environment: %s", async (_, script) => {
    using home = dockerHome(
      { credsStore: "all", auths: { "reg.example": { username: "file", password: "p" } } },
      { all: script },
    );
    expect(await loginFor("reg.example/a", home.env)).toBe("file:p");
    expect(await loginFor("ghcr.io/a", { ...home.env, GITHUB_TOKEN: "g" })).toBe("x-access-token:g");
  });

  test.each<[string, string, string]>([
    ["fails", "echo s3cret; echo s3cret >&2; exit 3", "exited with 3"],
    ["talks nonsense", "echo s3cret", "no login"],
    ["says too much", `printf '%300000s'; echo '{"Username":"u","Secret":"s3cret"}'`, "no login"],
  ])("that %s is an error that quotes nothing of it", async (_, script, why) => {
    using home = dockerHome({ credsStore: "all" }, { all: script });
    const error = await failureOf(loginFor("reg.example/a", home.env));
    expect(error).toMatchObject({
      code: "unauthorized",
      retryable: true,
      message: expect.stringContaining(why),
    });
    expect(`${error.message} ${error.hint}`).not.toContain("s3cret");
  });

  test("that is not installed is an error with a hint", async () => {
    using home = dockerHome({ credsStore: "absent" });
    const error = await failureOf(loginFor("reg.example/a", home.env));
    expect(error).toMatchObject({ code: "config-invalid", hint: expect.stringContaining("PATH") });
  });

  test("that hangs is killed when the call ends, with what it started", async () => {
    using home = dockerHome({ credsStore: "all" }, { all: `sleep 60 & echo $$ $! > "$HOME/pids"; wait` });
    const stop = new AbortController();
    const asked = find("reg.example/a", home.env, { signal: stop.signal }).catch((error: unknown) => error);
    const pids = await until("the helper runs", async () => {
      const text = await Bun.file(join(home.path, "pids"))
        .text()
        .catch(() => "");
      return text.endsWith("\n") && text.trim().split(" ").map(Number);
    });
    const reason = new Error("shutting down");
    stop.abort(reason);
    expect(await asked).toBe(reason);
    await until("the helper and its child are gone", () => pids.every(isGone));
  });
});

/** A zombie is gone too: who was killed here may have nobody who reaps it. */
function isGone(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}
