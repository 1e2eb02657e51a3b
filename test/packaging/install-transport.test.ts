import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { makeAuthority } from "../support/authority.ts";
import { fakeDewy, glibcName, Installation } from "../support/installation.ts";
import { ReleaseServer } from "../support/release-server.ts";
import { tempDir } from "../support/temp-dir.ts";

describe.concurrent("the way that a release comes", () => {
  test.each([
    ["http://dewy.invalid"],
    ["http://localhost.evil.invalid"],
    ["http://127.evil.invalid"],
    ["http://127.0.0.1.evil.invalid"],
    ["http://localhost@evil.invalid"],
    ["http://evil.invalid#@localhost"],
    ["http://evil.invalid?@127.0.0.1"],
    ["http://evil.invalid/@localhost"],
  ])("over plain http to another machine nothing does: %s is refused", async (url) => {
    await using it = await Installation.open("debian");
    const { code, output } = await it.install([`--base-url '${url}' --timeout 1`]);
    expect(code).toBe(1);
    expect(output).toContain("over http nobody vouches for what comes\n");
    const signed = await it.install([`--base-url '${url}' --minisign-key planted --timeout 1`]);
    expect(signed.output).not.toContain("nobody vouches");
  });

  test.each([["localhost"], ["127.0.0.1"], ["127.1.2.3"], ["someone:planted-password@127.0.0.1"]])(
    "over plain http from this machine (%s) the sums do",
    async (host) => {
      await using it = await Installation.open("debian");
      const url = it.server.url.replace("127.0.0.1", host);
      const { output } = await it.install(["--base-url", url, "--version v9.9.9 --timeout 4"]);
      expect(output).not.toContain("nobody vouches");
    },
  );

  test("a mirror's password is in no message", async () => {
    await using it = await Installation.open("debian");
    for (const password of ["planted-password", "planted@password"]) {
      const mirror = it.server.url.replace("//", `//someone:${password}@`);
      for (const args of [[], ["--version v9.9.9"]]) {
        const { output } = await it.install(["--base-url", mirror, ...args]);
        expect(output).toContain(it.server.url);
        expect(output).not.toContain("password@");
      }
    }
  });

  test("curl gets a mirror's password by its input, and no message has it", async () => {
    await using it = await Installation.open("debian");
    await it.root.sh("mv /usr/bin/curl /usr/bin/curl.real");
    const spy = `#!/bin/sh\necho "$*" >>/tmp/arguments\nexec /usr/bin/curl.real "$@"\n`;
    writeFileSync(it.root.path("/usr/bin/curl"), spy, { mode: 0o755 });
    const mirror = it.server.url.replace("//", '//someone:planted%40\\"word@');
    const { code, output } = await it.install([], { env: { DEWY_BASE_URL: mirror } });
    expect({ code, output }).toMatchObject({ code: 0 });
    const seen = readFileSync(it.root.path("/tmp/arguments"), "utf8");
    expect(seen).toContain("-K -");
    for (const text of [seen, output]) expect(text).not.toMatch(/planted|word/);
    expect(it.server.credentials).toContain('someone:planted@\\"word');
  });

  test("wget would show a mirror's password, so it gets none", async () => {
    await using it = await Installation.open("alpine");
    const mirror = it.server.url.replace("//", "//someone:planted-password@");
    const { code, output } = await it.install([], { get: "wget -qO-", env: { DEWY_BASE_URL: mirror } });
    expect(code).toBe(1);
    expect(output).toContain("which wget would show to everybody on this host\ninstall: install curl");
    expect(output).not.toContain("planted");
    expect(it.server.asked).toEqual(["install.sh"]);
  });

  test("BusyBox's own TLS takes any certificate, so nothing is taken by it", async () => {
    using directory = tempDir();
    await using it = await Installation.open(
      "alpine",
      makeAuthority(directory.path).issue("IP:127.0.0.1", 1),
    );
    const { code, output } = await it.install([], { get: "wget -qO-" });
    expect(code).toBe(1);
    expect(output).toContain("this wget does not check the server's certificate; install curl");
    expect(it.server.asked).toEqual(["install.sh", "SHA256SUMS"]);
    expect(it.root.names("/usr/local/bin")).toEqual([]);
  });

  test.each([
    ["curl", "CURL_CA_BUNDLE"],
    ["wget", "SSL_CERT_FILE"],
  ])("%s takes a release of a known certificate's owner only", async (fetcher, variable) => {
    using directory = tempDir();
    const authority = makeAuthority(directory.path);
    await using it = await Installation.open("debian", authority.issue("IP:127.0.0.1", 1));
    if (fetcher === "wget") rmSync(it.root.path("/usr/bin/curl"));
    const script = it.root.path("/tmp/install.sh");
    writeFileSync(script, readFileSync("scripts/install.sh"));
    const args = ["sh", "/tmp/install.sh", "--base-url", it.server.url];
    const stranger = await it.root.run(args);
    expect(stranger.code).toBe(1);
    expect(stranger.output).toMatch(/could not be downloaded: .*(certificate|SSL)/i);
    expect(it.server.asked).toEqual([]);
    writeFileSync(it.root.path("/tmp/ca.pem"), readFileSync(authority.ca));
    if (fetcher === "wget") writeFileSync(it.root.path("/etc/wgetrc"), "ca_certificate=/tmp/ca.pem\n");
    expect(await it.root.run(args, { env: { [variable]: "/tmp/ca.pem" } })).toMatchObject({ code: 0 });
    expect(await it.version()).toBe("v1.2.3");
  });

  test.each([["curl"], ["wget"]])(
    "a server that leads %s from https to http is not trusted",
    async (fetcher) => {
      using directory = tempDir();
      const authority = makeAuthority(directory.path);
      await using it = await Installation.open("debian", authority.issue("IP:127.0.0.1", 1));
      await using plain = new ReleaseServer();
      for (const server of [plain, it.server]) server.publish("v6.6.6", { [glibcName]: fakeDewy("v6.6.6") });
      for (const name of ["SHA256SUMS", glibcName])
        it.server.says(name, () => Response.redirect(`${plain.url}/download/v6.6.6/${name}`));
      if (fetcher === "wget") rmSync(it.root.path("/usr/bin/curl"));
      writeFileSync(it.root.path("/tmp/install.sh"), readFileSync("scripts/install.sh"));
      writeFileSync(it.root.path("/tmp/ca.pem"), readFileSync(authority.ca));
      writeFileSync(it.root.path("/etc/wgetrc"), "ca_certificate=/tmp/ca.pem\n");
      const args = ["sh", "/tmp/install.sh", "--base-url", it.server.url];
      const { code, output } = await it.root.run(args, { env: { CURL_CA_BUNDLE: "/tmp/ca.pem" } });
      expect(output).toMatch(
        fetcher === "wget" ? /leads from https to http/ : /could not be downloaded: .*[Pp]rotocol/,
      );
      expect(code).toBe(1);
      expect(it.root.names("/usr/local/bin")).toEqual([]);
      if (fetcher === "curl") expect(plain.asked).toEqual([]);
    },
  );

  test("a wget that does not say where it is led is not trusted", async () => {
    await using it = await Installation.open("debian");
    const mute = `#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" != -O ] || echo planted >"$2"; shift; done\n`;
    writeFileSync(it.root.path("/usr/bin/wget"), mute, { mode: 0o755 });
    writeFileSync(it.root.path("/tmp/install.sh"), readFileSync("scripts/install.sh"));
    rmSync(it.root.path("/usr/bin/curl"));
    const { code, output } = await it.root.run([
      "sh",
      "/tmp/install.sh",
      "--base-url",
      "https://dewy.invalid",
    ]);
    expect(code).toBe(1);
    expect(output).toContain("this wget does not say whether it left https; install curl");
  });

  test("~/.curlrc can't allow any certificate", async () => {
    using directory = tempDir();
    const authority = makeAuthority(directory.path);
    await using it = await Installation.open("debian", authority.issue("IP:127.0.0.1", 1));
    writeFileSync(it.root.path("/tmp/install.sh"), readFileSync("scripts/install.sh"));
    writeFileSync(it.root.path("/root/.curlrc"), "insecure\n");
    expect(await it.root.run(["sh", "/tmp/install.sh", "--base-url", it.server.url])).toMatchObject({
      code: 1,
    });
    expect(it.server.asked).toEqual([]);
  });
});
