import { describe, expect, test } from "bun:test";
import { type MailFailure, mailError } from "../../src/notify/mail/failure.ts";
import { MessageRefused } from "../../src/notify/notifier.ts";

const nothing: MailFailure = {
  kind: "ESOCKET",
  system: null,
  timeout: null,
  command: null,
  reply: null,
  rejected: [],
};
const peer = {
  host: "mail.example.com",
  port: 587,
  encryption: "starttls",
  login: { username: "u", password: "p" },
} as const;

function errorOf(failure: Partial<MailFailure>, changes: object = {}) {
  return mailError({ ...nothing, ...failure }, "send mail", { ...peer, ...changes });
}

describe("a reply", () => {
  test.each<[string, Partial<MailFailure>, string, boolean, RegExp, RegExp]>([
    [
      "a wrong login",
      { kind: "EAUTH", command: "AUTH PLAIN", reply: "535 5.7.8 Bad u p" },
      "unauthorized",
      false,
      /refuses the login \(535 5\.7\.8\)$/,
      /password/,
    ],
    [
      "a login too weak",
      { kind: "EAUTH", command: "AUTH PLAIN", reply: "534-5.7.9 Application-specific" },
      "unauthorized",
      false,
      /\(534-5\.7\.9\)$/,
      /made for apps/,
    ],
    [
      "a login that can't be checked",
      { kind: "EAUTH", command: "AUTH PLAIN", reply: "454 4.7.0 Later" },
      "http-status",
      true,
      /can't check the login now \(454 4\.7\.0\)$/,
      /undefined/,
    ],
    [
      "no login at all",
      { kind: "EAUTH", command: "AUTH PLAIN", reply: "502 What?" },
      "unauthorized",
      false,
      /takes no login/,
      /leave out username=/,
    ],
    [
      "a login wanted for the sender",
      { kind: "EENVELOPE", command: "MAIL FROM", reply: "530 5.7.0 Authentication required" },
      "unauthorized",
      false,
      /refuses the login/,
      /password/,
    ],
    [
      "encryption wanted",
      { kind: "EENVELOPE", command: "MAIL FROM", reply: "530 Must issue a STARTTLS command first" },
      "unauthorized",
      false,
      /answered 530/,
      /tls=false/,
    ],
    [
      "encryption wanted for the login",
      { kind: "EAUTH", command: "AUTH PLAIN", reply: "538 5.7.11 Encryption required" },
      "unauthorized",
      false,
      /answered 538/,
      /tls=false/,
    ],
    [
      "a sender refused",
      { kind: "EENVELOPE", command: "MAIL FROM", reply: "553 5.7.1 Not yours" },
      "http-status",
      false,
      /553 5\.7\.1 Not yours to the sender$/,
      /from=/,
    ],
    [
      "a sender deferred",
      { kind: "EENVELOPE", command: "MAIL FROM", reply: "451 4.7.1 Later" },
      "http-status",
      true,
      /to the sender$/,
      /undefined/,
    ],
    [
      "greylisting",
      { kind: "EENVELOPE", command: "RCPT TO", reply: "450 4.2.0 Greylisted", rejected: ["a@b.c"] },
      "http-status",
      true,
      /450 4\.2\.0 Greylisted to every recipient \(a@b\.c\)$/,
      /undefined/,
    ],
    [
      "recipients unknown",
      { kind: "EENVELOPE", command: "RCPT TO", reply: "550 5.1.1 Who?", rejected: ["a@b.c", "d@e.f"] },
      "http-status",
      false,
      /\(a@b\.c, d@e\.f\)$/,
      /recipients/,
    ],
    [
      "a mail refused",
      { kind: "EMESSAGE", command: "DATA", reply: "554 5.7.1 Spam" },
      "http-status",
      false,
      /answered 554 5\.7\.1 Spam$/,
      /undefined/,
    ],
    [
      "a full disk there",
      { kind: "EMESSAGE", command: "DATA", reply: "452 4.3.1 Full" },
      "http-status",
      true,
      /answered 452/,
      /undefined/,
    ],
    [
      "a server that stops",
      { kind: "ECONNECTION", command: "EHLO", reply: "421 4.3.2 Bye" },
      "http-status",
      true,
      /answered 421/,
      /undefined/,
    ],
    [
      "a server that wants nobody",
      { kind: "EPROTOCOL", command: "CONN", reply: "554 No service" },
      "http-status",
      false,
      /answered 554/,
      /undefined/,
    ],
    [
      "no STARTTLS",
      { kind: "ETLS", command: "STARTTLS", reply: "502 5.5.1 What?" },
      "http-status",
      false,
      /offers no STARTTLS/,
      /tls=false sends in clear/,
    ],
    [
      "STARTTLS not now",
      { kind: "ETLS", command: "STARTTLS", reply: "454 4.7.0 Later" },
      "http-status",
      true,
      /answered 454/,
      /smtps/,
    ],
    [
      "another protocol",
      { kind: "EPROTOCOL", command: "CONN", reply: "SSH-2.0-OpenSSH_9.7" },
      "bad-answer",
      true,
      /587 does not speak SMTP$/,
      /check the port/,
    ],
  ])("%s", (_, failure, code, retryable, message, hint) => {
    const error = errorOf(failure);
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).toMatch(message);
    expect(String(error.hint)).toMatch(hint);
  });

  test("that asks for a login where none was given names the variables", () => {
    const error = errorOf(
      { command: "MAIL FROM", reply: "530 5.7.0 Authentication required" },
      { login: null },
    );
    expect(error.message).toContain("asks for a login (530 5.7.0)");
    expect(error.hint).toContain("MAIL_USERNAME");
  });

  test("of many lines is told on one, and not to its end", () => {
    const { message } = errorOf({ command: "DATA", reply: `554-${"x".repeat(500)}\n554 end` });
    expect(message).not.toContain("\n");
    expect(message.length).toBeLessThan(300);
  });
});

test.each<[Partial<MailFailure>, boolean]>([
  [{ kind: "EENVELOPE", command: "RCPT TO", reply: "550 5.1.1 Who?" }, true],
  [{ kind: "EMESSAGE", command: "DATA", reply: "554 5.7.1 Spam" }, true],
  [{ kind: "EMESSAGE", command: "MAIL FROM" }, true],
  [{ kind: "EENVELOPE", command: "RCPT TO", reply: "450 4.2.0 Greylisted" }, false],
  [{ kind: "EENVELOPE", command: "RCPT TO", reply: "530 5.7.0 Authentication required" }, false],
  [{ kind: "EAUTH", command: "AUTH PLAIN", reply: "535 5.7.8 Bad login" }, false],
  [{ kind: "EENVELOPE", command: "MAIL FROM", reply: "553 5.7.1 Not yours" }, false],
  [{ kind: "ETLS", command: "STARTTLS", reply: "502 5.5.1 What?" }, false],
  [{ kind: "EPROTOCOL", command: "CONN", reply: "554 No service" }, false],
])("%j is about this mail alone: %p", (failure, isAlone) => {
  expect(errorOf(failure) instanceof MessageRefused).toBe(isAlone);
});

describe("no reply", () => {
  test.each<[Partial<MailFailure>, string, RegExp, RegExp]>([
    [
      { system: "ECONNREFUSED" },
      "network-unreachable",
      /mail\.example\.com:587 can't be reached \(ECONNREFUSED\)$/,
      /undefined/,
    ],
    [{ system: "ENOTFOUND" }, "network-unreachable", /name mail\.example\.com can't be resolved$/, /DNS/],
    [{ system: "EAI_AGAIN" }, "network-unreachable", /can't be resolved$/, /DNS/],
    [{ kind: "ECONNECTION" }, "network-unreachable", /closed the connection$/, /undefined/],
    [{ kind: "ETIMEDOUT", timeout: "CONNECT_TIMEOUT" }, "network-timeout", /no answer from/, /undefined/],
    [{ kind: "ETIMEDOUT", timeout: "GREETING_TIMEOUT" }, "network-timeout", /does not greet/, /smtps/],
    [{ system: "CERT_HAS_EXPIRED" }, "network-unreachable", /not valid today/, /renew/],
    [{ system: "ERR_TLS_CERT_ALTNAME_INVALID" }, "network-unreachable", /for another name/, /URL/],
    [{ system: "DEPTH_ZERO_SELF_SIGNED_CERT" }, "network-unreachable", /nobody trusted/, /SSL_CERT_FILE/],
    [{ system: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" }, "network-unreachable", /nobody trusted/, /SSL_CERT_FILE/],
    [{ system: "ERR_SSL_WRONG_VERSION_NUMBER" }, "network-unreachable", /no TLS connection/, /smtps:/],
    [{ kind: "ETLS" }, "network-unreachable", /no TLS connection/, /smtps:/],
    [{ kind: "EPROTOCOL" }, "bad-answer", /does not speak SMTP/, /port/],
  ])("%j may be better later", (failure, code, message, hint) => {
    const error = errorOf(failure);
    expect(error).toMatchObject({ code, retryable: true });
    expect(error.message).toMatch(message);
    expect(String(error.hint)).toMatch(hint);
  });

  test.each<[Partial<MailFailure>, string]>([
    [{ kind: "EAUTH" }, "unauthorized"],
    [{ kind: "EMESSAGE" }, "bad-answer"],
    [{ kind: "EENVELOPE" }, "bad-answer"],
  ])("as dewy and the server have no way in common: %j", (failure, code) => {
    expect(errorOf(failure)).toMatchObject({ code, retryable: false });
  });
});
