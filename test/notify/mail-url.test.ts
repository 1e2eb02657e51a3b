import { describe, expect, test } from "bun:test";
import { hostname } from "node:os";
import { DewyError } from "../../src/errors.ts";
import { filterParams } from "../../src/notify/filter.ts";
import { mailParams, mailUrl, readMailUrl } from "../../src/notify/mail/url.ts";
import { readQueries } from "../../src/util/query.ts";

function read(text: string, env: Record<string, string> = {}) {
  const url = mailUrl(new URL(text));
  const [query] = readQueries(url, mailParams, filterParams);
  return readMailUrl(url, query, env);
}

function failure(text: string, env: Record<string, string> = {}): DewyError {
  try {
    read(text, env);
  } catch (error) {
    if (error instanceof DewyError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

describe("a mail URL", () => {
  test.each(["smtp", "mail"])("%s:// has the defaults of the original", (scheme) => {
    expect(read(`${scheme}://mail.example.com/ops@example.com`)).toEqual({
      name: `${scheme}://mail.example.com:587/ops@example.com`,
      host: "mail.example.com",
      port: 587,
      encryption: "starttls",
      login: null,
      from: { name: "", address: `dewy@${hostname()}` },
      to: ["ops@example.com"],
      subject: "Dewy Notification",
    });
  });

  test("takes everything from its query", () => {
    const query =
      "username=u%2B1&password=p%26w&from=Dewy%20Bot%20<d@e.f>&subject=App%20X&on=error&quiet=true&tls=true";
    expect(read(`smtp://h:2525/a@b.c?${query}`)).toMatchObject({
      port: 2525,
      login: { username: "u+1", password: "p&w" },
      from: { name: "Dewy Bot", address: "d@e.f" },
      subject: "App X",
    });
  });

  test.each([
    ["smtp://h/a@b.c", 587, "starttls"],
    ["smtp://h/a@b.c?tls=true", 587, "starttls"],
    ["smtp://h/a@b.c?tls=false", 587, "none"],
    ["smtp://h:25/a@b.c?tls=0", 25, "none"],
    ["smtp://h:465/a@b.c", 465, "tls"],
    ["smtp://h:465/a@b.c?tls=false", 465, "none"],
    ["smtps://h/a@b.c", 465, "tls"],
    ["smtps://h:587/a@b.c?tls=true", 587, "tls"],
  ] as const)("%s: port %d, %s", (url, port, encryption) => {
    expect(read(url)).toMatchObject({ port, encryption });
  });

  test.each([
    ["smtp://h/a@b.c,d@e.f", ["a@b.c", "d@e.f"]],
    ["smtp://h/a@b.c?to=d@e.f,g@h.i", ["a@b.c", "d@e.f", "g@h.i"]],
    ["smtp://h?to=a@b.c", ["a@b.c"]],
    ["smtp://h/?to=a@b.c,%20a@b.c,", ["a@b.c"]],
    ["smtp://h/a%2Btag%40b.c", ["a+tag@b.c"]],
    ["smtp://h/ärger@bücher.example", ["ärger@bücher.example"]],
  ])("%s is for %j", (url, to) => {
    expect(read(url).to).toEqual(to);
  });

  test("takes user name, password and sender from the environment, after its own", () => {
    const env = { MAIL_USERNAME: "eu", MAIL_PASSWORD: "ep", MAIL_FROM: "e@f.g" };
    expect(read("smtp://h/a@b.c", env)).toMatchObject({
      login: { username: "eu", password: "ep" },
      from: { name: "", address: "e@f.g" },
    });
    expect(read("smtp://h/a@b.c?username=u&from=x@y.z", env)).toMatchObject({
      login: { username: "u", password: "ep" },
      from: { address: "x@y.z" },
    });
    expect(read("smtp://h/a@b.c", { MAIL_USERNAME: "", MAIL_PASSWORD: "", MAIL_FROM: "" }).login).toBeNull();
  });

  test("takes a + as it is written, but for names and subjects", () => {
    const query = "username=ops+1&password=a+b%2Bc&from=Dewy+Bot+<d+1@e.f>&to=g+2@h.i&subject=My+App";
    expect(read(`smtp://h/a+3@b.c?${query}`)).toMatchObject({
      login: { username: "ops+1", password: "a+b+c" },
      from: { name: "Dewy Bot", address: "d+1@e.f" },
      to: ["a+3@b.c", "g+2@h.i"],
      subject: "My App",
    });
    expect(read("smtp://h/a@b.c?from=ops+dewy@e.f").from.address).toBe("ops+dewy@e.f");
  });

  test("takes an address as the server", () => {
    expect(read("smtp://[::1]:25/a@b.c")).toMatchObject({
      host: "::1",
      port: 25,
      name: "smtp://[::1]:25/a@b.c",
    });
  });

  test.each<[string, RegExp]>([
    ["smtp://h/", /names no recipient/],
    ["smtp://h/,", /names no recipient/],
    ["smtp://h/ops", /"ops" is no mail address/],
    ["smtp://h/a@b.c%0D%0ABcc:%20x@y.z", /is no mail address/],
    ["smtp://h/a@b.c>%20SIZE=1", /is no mail address/],
    ["smtp://h/a%ZZ@b.c", /badly escaped/],
    ["smtp:///a@b.c", /does not name a server/],
    ["smtp://h:0/a@b.c", /no port/],
    ["smtp://h/a@b.c?username=u&password=a#SeCrEt", /holds a "#"/],
    ["smtp://h/a@b.c?username=u&password=a&SeCrEt", /unknown parameter behind "password"/],
    ["smtp://h/a@b.c?username=u&password=a&SeCrEt=b", /unknown parameter behind "password"/],
    ["smtp://h%0a/a@b.c", /does not name a server/],
    ["smtp://u:SeCrEt@h/a@b.c", /no user before the host/],
    ["smtps://h/a@b.c?tls=false", /contradicts smtps/],
    ["smtp://h/a@b.c?password=SeCrEt", /user name is missing/],
    ["smtp://h/a@b.c?username=u", /password is missing/],
    ["smtp://h/a@b.c?from=ops", /from= is no mail address/],
    ["smtp://h/a@b.c?from=x%0D%0ABcc:y@z.a%20<a@b.c>", /from= is no mail address/],
    ["smtp://h/a@b.c?subject=x%0D%0ABcc:%20y@z.a", /line break/],
    ["smtp://h/a@b.c?tls=maybe&password=SeCrEt", /"tls" is "maybe"/],
    ["smtp://h/a@b.c?pass=SeCrEt", /unknown parameter "pass"/],
  ])("%s is refused", (url, message) => {
    const error = failure(url);
    expect(error.code).toBe("config-invalid");
    expect(error.message).toMatch(message);
    expect(error.hint).toBeDefined();
    expect(`${error.message} ${error.hint}`).not.toContain("SeCrEt");
  });

  test("a wrong MAIL_FROM is named", () => {
    expect(failure("smtp://h/a@b.c", { MAIL_FROM: "ops" }).message).toContain("MAIL_FROM is no mail address");
  });
});
