import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { filterParams } from "../../src/notify/filter.ts";
import { readWebhookUrl, splitWebhookUrl, webhookParams } from "../../src/notify/webhook/url.ts";
import { readQueries } from "../../src/util/query.ts";

/** As the drivers do it. */
function read(text: string, env: Record<string, string> = {}) {
  const url = splitWebhookUrl(new URL(text));
  const [query, filter] = readQueries(url.settings, webhookParams, filterParams);
  return { options: readWebhookUrl(url, query, env), filter };
}

function failure(text: string): DewyError {
  try {
    read(text);
  } catch (error) {
    if (error instanceof DewyError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

describe("a web hook's URL", () => {
  test("is the receiver's behind webhook+, with dewy's own parameters taken out", () => {
    const { options, filter } = read(
      "webhook+https://chat.example.com:8443/hooks/SeCrEt?on=error&quiet=true",
    );
    expect(options).toEqual({
      name: "webhook+https://chat.example.com:8443/…",
      url: "https://chat.example.com:8443/hooks/SeCrEt",
      host: "chat.example.com:8443",
      format: "json",
      key: null,
    });
    expect(filter).toMatchObject({ on: ["error"], quiet: true });
  });

  test.each([
    ["?key=K&token=T%2F%3D%20x+y&pass=key,token", "?key=K&token=T%2F%3D%20x+y"],
    [
      "?on=error&api-version=2016-06-01&sp=%2Ftriggers%2Frun&sig=a%2Bb&pass=*",
      "?api-version=2016-06-01&sp=%2Ftriggers%2Frun&sig=a%2Bb",
    ],
    ["?bareToken&pass=*", "?bareToken"],
    ["?a=1&a=2&pass=a", "?a=1&a=2"],
    ["?format=theirs&pass=format", "?format=theirs"],
    ["?pass=*&format=slack", ""],
    ["?on=deploy", ""],
    ["", ""],
  ])("%s sends the receiver %j", (query, sent) => {
    expect(read(`webhook+https://host/hook${query}`).options.url).toBe(`https://host/hook${sent}`);
  });

  test("takes each format, and the key of the signature from the environment", () => {
    for (const format of ["json", "slack", "discord", "teams"] as const) {
      expect(read(`webhook+https://host/?format=${format}`).options.format).toBe(format);
    }
    expect(read("webhook+https://host/", { DEWY_WEBHOOK_SECRET: "k" }).options.key).toBe("k");
    expect(read("webhook+https://host/", { DEWY_WEBHOOK_SECRET: "" }).options.key).toBeNull();
  });

  test.each(["localhost", "127.0.0.1:8080", "[::1]:8080", "127.3.2.1"])(
    "in clear goes to %s, which is this machine",
    (host) => {
      expect(read(`webhook+http://${host}/x`).options.url).toBe(`http://${host}/x`);
    },
  );

  test("in clear goes elsewhere only with insecure=true", () => {
    expect(read("webhook+http://10.0.0.1/x?insecure=true").options.url).toBe("http://10.0.0.1/x");
    for (const host of ["10.0.0.1", "localhost.example.com", "127.example.com"]) {
      expect(failure(`webhook+http://${host}/x`).message).toContain("in clear");
      expect(failure(`webhook+http://${host}/x?insecure=false`).message).toContain("in clear");
    }
  });

  test.each([
    ["onn=error", /"onn"/, "if they are the receiver's, add pass=onn"],
    ["onn=error&key=TOKEN-1234", /"onn", "key"/, "if they are the receiver's, add pass=onn,key"],
    ["TOKEN-1234", /one without a value/, "if they are the receiver's, add pass=*"],
    [
      "key=TOKEN-1234&pass=keys",
      /"keys", which the URL does not hold/,
      "name parameters of the receiver's URL",
    ],
    ["format=html", /"format" is "html"/, "known parameters"],
    ["on=error&on=deploy", /"on" is given more than once/, "known parameters"],
    ["pass=", /"pass" is empty/, "known parameters"],
    ["insecure=true", /no effect/, "leave it out"],
  ])("?%s is refused", (query, message, hint) => {
    const error = failure(`webhook+https://host/hooks/PATH-5678?${query}`);
    expect(error.code).toBe("config-invalid");
    expect(error.message).toMatch(message);
    expect(error.hint).toContain(hint);
    expect(`${error.message} ${error.hint}`).not.toMatch(/TOKEN-1234|PATH-5678/);
  });

  test.each([
    ["webhook+https:///hooks/PATH-5678", /does not name a server/],
    ["webhook+https://user:PASS-1@host/PATH-5678", /no user before the host/],
    ["webhook+https://host/PATH-5678#on=error", /holds a "#"/],
    ["webhook+ftp://host/PATH-5678", /does not name a server/],
  ])("%s is refused without its secrets", (text, message) => {
    const error = failure(text);
    expect(error.message).toMatch(message);
    expect(`${error.message} ${error.hint}`).not.toMatch(/PATH-5678|PASS-1/);
  });
});
