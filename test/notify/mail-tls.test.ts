import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { makeAuthority } from "../support/authority.ts";
import { MailServer, type SmtpServerSetup } from "../support/smtp-server.ts";
import { tempDir } from "../support/temp-dir.ts";

const directory = tempDir();
const authority = makeAuthority(join(directory.path, "ours"));
const good = authority.issue("DNS:localhost,IP:127.0.0.1", 2);
const elsewhere = authority.issue("DNS:elsewhere.example", 2);
const expired = authority.issue("DNS:localhost,IP:127.0.0.1", -1);
const strange = makeAuthority(join(directory.path, "theirs")).issue("DNS:localhost,IP:127.0.0.1", 2);
const login = { username: "MyUser", password: "planted-pAsS1234" };

const servers: MailServer[] = [];

async function start(setup: Omit<SmtpServerSetup, "login">): Promise<MailServer> {
  const server = await MailServer.start({ ...setup, login, loginRequired: true });
  servers.push(server);
  return server;
}

interface Outcome {
  readonly sent: boolean;
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
  readonly retryable?: boolean;
}

/** One process for all, as each costs a start. */
async function sendAll(urls: readonly string[], env: Record<string, string>): Promise<readonly Outcome[]> {
  const command = [
    "setpriv",
    "--pdeathsig",
    "KILL",
    process.execPath,
    join(import.meta.dir, "mail-child.ts"),
    ...urls,
  ];
  const credentials = { MAIL_USERNAME: login.username, MAIL_PASSWORD: login.password };
  await using child = Bun.spawn(command, {
    env: { ...process.env, ...credentials, ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(stderr);
  expect(`${stdout}${stderr}`).not.toContain(login.password);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

describe("with an authority of one's own", () => {
  const cases = [
    ["STARTTLS, by name", "starttls", good, "smtp://localhost", null],
    ["STARTTLS, by address", "starttls", good, "smtp://127.0.0.1", null],
    ["TLS from the first byte, by name", "implicit", good, "smtps://localhost", null],
    ["TLS from the first byte, by address", "implicit", good, "smtps://127.0.0.1", null],
    [
      "STARTTLS, another name",
      "starttls",
      elsewhere,
      "smtp://localhost",
      /for another name \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
    ],
    ["STARTTLS, another address", "starttls", elsewhere, "smtp://127.0.0.1", /for another name/],
    ["TLS, another name", "implicit", elsewhere, "smtps://localhost", /for another name/],
    ["TLS, another address", "implicit", elsewhere, "smtps://127.0.0.1", /for another name/],
    ["STARTTLS, expired", "starttls", expired, "smtp://localhost", /not valid today \(CERT_HAS_EXPIRED\)/],
    ["TLS, expired", "implicit", expired, "smtps://localhost", /not valid today/],
    ["STARTTLS, another authority", "starttls", strange, "smtp://localhost", /signed by nobody trusted here/],
    ["TLS, another authority", "implicit", strange, "smtps://localhost", /signed by nobody trusted here/],
    [
      "TLS to a server of STARTTLS",
      "starttls",
      good,
      "smtps://localhost",
      /no TLS connection to localhost:\d+ \(\w+\)/,
    ],
  ] as const;
  let outcomes: readonly Outcome[] = [];

  beforeAll(async () => {
    const urls: string[] = [];
    for (const [, tls, certificate, base] of cases) {
      const server = await start({ tls, certificate });
      urls.push(`${base}:${server.port}/ops@example.com`);
    }
    outcomes = await sendAll(urls, { SSL_CERT_FILE: authority.ca });
  }, 60_000);

  test.each(cases.map((each, index) => [each[0], each[4], index] as const))("%s", (_, refusal, index) => {
    const outcome = outcomes[index];
    const server = servers[index];
    if (refusal === null) {
      expect(outcome).toEqual({ sent: true });
      expect(server?.mails[0]).toMatchObject({ secure: true, user: login.username });
      return;
    }
    expect(outcome).toMatchObject({ sent: false, code: "network-unreachable", retryable: true });
    expect(outcome?.message).toMatch(refusal);
    expect(outcome?.hint).toBeString();
    // It does not go on in clear.
    expect({ logins: server?.logins, mails: server?.mails }).toEqual({ logins: [], mails: [] });
  });
});

describe("without it", () => {
  test("nothing is sent, whatever NODE_TLS_REJECT_UNAUTHORIZED says", async () => {
    const byStartTls = await start({ tls: "starttls", certificate: good });
    const byTls = await start({ tls: "implicit", certificate: good });
    const urls = [`smtp://localhost:${byStartTls.port}/a@b.c`, `smtps://localhost:${byTls.port}/a@b.c`];
    const outcomes = await sendAll(urls, { NODE_TLS_REJECT_UNAUTHORIZED: "0" });
    expect(outcomes.map(({ sent, hint }) => ({ sent, hint }))).toEqual(
      urls.map(() => ({ sent: false, hint: expect.stringContaining("SSL_CERT_FILE") })),
    );
    for (const { logins, mails } of [byStartTls, byTls])
      expect({ logins, mails }).toEqual({ logins: [], mails: [] });
  });

  test("tls=false sends in clear to a server that offers STARTTLS", async () => {
    const server = await start({ tls: "starttls", certificate: good });
    expect(await sendAll([`smtp://localhost:${server.port}/a@b.c?tls=false`], {})).toEqual([{ sent: true }]);
    expect(server.mails[0]).toMatchObject({ secure: false, user: login.username });
  });
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  directory[Symbol.dispose]();
});
