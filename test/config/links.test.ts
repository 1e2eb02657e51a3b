import { describe, expect, test } from "bun:test";
import { type LinkSpec, parseLinks } from "../../src/config/links.ts";
import { parseAccount, parseUser, strayGroup, toUser } from "../../src/config/user.ts";

describe("--link", () => {
  test.each<[string, LinkSpec]>([
    ["shared/log:log", { from: "shared/log", to: "log" }],
    ["/var/lib/app:data/store", { from: "/var/lib/app", to: "data/store" }],
    ["../shared:log", { from: "../shared", to: "log" }],
    ["shared/log:./log//deep/", { from: "shared/log", to: "log/deep" }],
    ["shared/a:b:c", { from: "shared/a:b", to: "c" }],
  ])("%s", (value, spec) => {
    expect(parseLinks([value])).toEqual({ specs: [spec], problems: [] });
  });

  test.each<[string, string]>([
    ["shared/log", "is not a pair of paths"],
    [":log", "is not a pair of paths"],
    ["shared/log:", "is not a pair of paths"],
    ["", "is not a pair of paths"],
    ["shared/log:/log", "begins with a slash"],
    ["shared/log:../log", "leads out of the release"],
    ["shared/log:a/../../log", "leads out of the release"],
    ["shared/log:.", "would replace the whole release"],
    ["shared/log:a\nb", "holds a control character"],
  ])("%j is refused, with what to write", (value, message) => {
    const { specs, problems } = parseLinks([value]);
    expect(specs).toEqual([]);
    expect(problems).toMatchObject([{ message: expect.stringContaining(message), hint: expect.any(String) }]);
  });

  test.each([
    ["the same place", "b:log"],
    ["a place inside another's", "b:log/app"],
  ])("two at %s are refused, in either order", (_, second) => {
    for (const values of [
      ["a:log", second],
      [second, "a:log"],
    ]) {
      expect(parseLinks(values).problems).toMatchObject([
        { message: expect.stringContaining("share a place") },
      ]);
    }
  });

  test("neighbours whose names begin alike are two places", () => {
    expect(parseLinks(["a:log", "b:logs", "c:log.d/x"]).problems).toEqual([]);
  });
});

describe("--user and --group", () => {
  test.each<[string, string | undefined, ReturnType<typeof toUser>]>([
    ["www-data", undefined, { user: "www-data", group: null }],
    ["33", undefined, { user: "33", group: null }],
    ["www-data:adm", undefined, { user: "www-data", group: "adm" }],
    ["1500:1500", undefined, { user: "1500", group: "1500" }],
    ["www-data", "adm", { user: "www-data", group: "adm" }],
    ["svc.app$", undefined, { user: "svc.app$", group: null }],
    ["DOMAIN\\app@corp", undefined, { user: "DOMAIN\\app@corp", group: null }],
  ])("%s, %p", (user, group, found) => {
    expect(toUser(parseUser(user), group === undefined ? undefined : parseAccount(group))).toEqual(found);
  });

  test("neither: the agent's own", () => {
    expect(toUser(undefined, undefined)).toBeNull();
  });

  test.each(["", ":", "a:", ":b", "a:b:c", "a b", "-u", "a\0", "../a"])("%j is refused", (value) => {
    expect(() => parseUser(value)).toThrow();
  });

  test.each<[string, Record<string, unknown>, string | null]>([
    ["a group alone", { group: "adm" }, "--group needs --user"],
    ["two groups", { user: "a:b", group: "adm" }, "--user a:b names a group already"],
    ["each once", { user: "a", group: "adm" }, null],
    ["none", { user: "a:b" }, null],
  ])("%s", (_, settings, message) => {
    expect(strayGroup(settings).map((problem) => problem.message)).toEqual(message === null ? [] : [message]);
  });
});
