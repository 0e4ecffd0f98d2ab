// Prints the JSON schemas of typical zod types, as one JSON object per line that maps a name to a
// schema. With zod 4, z.toJSONSchema writes them; with zod 3, zod-to-json-schema.

import { z } from "zod";

const isFour = typeof z.toJSONSchema === "function";
const money = z.object({ amount: z.number().multipleOf(0.01).nonnegative(), currency: z.enum(["EUR", "USD"]) });
const address = z.object({ street: z.string().min(1), zip: z.string().regex(/^\d{5}(-\d{4})?$/), country: z.string().length(2) }).strict();
const card = z.object({ kind: z.literal("card"), number: z.string().regex(/^\d{16}$/) });
const transfer = z.object({ kind: z.literal("transfer"), iban: z.string().min(15).max(34) });
const tree = z.lazy(() => z.object({ value: z.number(), children: z.array(tree).optional() }));

const types = {
  email: z.string().email(),
  url: z.string().url(),
  uuid: z.string().uuid(),
  datetime: z.string().datetime(),
  datetimeOffset: z.string().datetime({ offset: true }),
  date: z.string().date(),
  time: z.string().time(),
  duration: z.string().duration(),
  cuid: z.string().cuid(),
  cuid2: z.string().cuid2(),
  ulid: z.string().ulid(),
  nanoid: z.string().nanoid(),
  base64: z.string().base64(),
  base64url: z.string().base64url(),
  jwt: z.string().jwt(),
  emoji: z.string().emoji(),
  startsWith: z.string().startsWith("sk-"),
  endsWith: z.string().endsWith(".json"),
  includes: z.string().includes("@"),
  trimmed: z.string().trim().toLowerCase(),
  password: z.string().regex(/^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[^\w\s]).{8,}$/),
  notAdmin: z.string().regex(/^(?!admin$)[a-z]{3,16}$/),
  int: z.number().int(),
  positive: z.number().positive(),
  bounded: z.number().min(-1.5).lt(9),
  cents: z.number().multipleOf(0.01),
  steps: z.number().multipleOf(0.05).min(0).max(10),
  finite: z.number().finite(),
  safe: z.number().safe(),
  literalUnion: z.union([z.literal("a"), z.literal(1), z.null()]),
  nativeEnum: z.nativeEnum({ Up: "UP", Down: "DOWN" }),
  tuple: z.tuple([z.string(), z.number()]).rest(z.boolean()),
  record: z.record(z.string(), z.number()),
  enumRecord: isFour ? z.partialRecord(z.enum(["a", "b"]), z.number()) : z.record(z.enum(["a", "b"]), z.number()),
  fullRecord: isFour ? z.record(z.enum(["a", "b"]), z.number()) : z.record(z.string().uuid(), z.number()),
  nonempty: z.array(z.string()).nonempty().max(5),
  length: z.array(z.number()).length(3),
  nullable: z.object({ a: z.string().nullable(), b: z.number().nullish() }),
  defaults: z.object({ a: z.string().default("x"), b: z.boolean().default(false).optional() }),
  passthrough: z.object({ a: z.string() }).passthrough(),
  catchall: z.object({ a: z.string() }).catchall(z.number()),
  money,
  address,
  intersection: z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })),
  extended: address.extend({ note: z.string().optional() }),
  partial: address.partial(),
  payment: z.discriminatedUnion("kind", [card, transfer]),
  union: z.union([card, transfer, z.string()]),
  tree,
  any: z.object({ a: z.any(), b: z.unknown() }),
  described: z.object({ city: z.string().describe("City name"), unit: z.enum(["C", "F"]).describe("Unit") }),
  order: z.object({
    id: z.string().uuid(),
    email: z.string().email().optional(),
    site: z.string().url().nullable(),
    lines: z.array(z.object({ sku: z.string(), price: money, quantity: z.number().int().positive() })).min(1),
    ship: address,
    pay: z.discriminatedUnion("kind", [card, transfer]),
    at: z.string().datetime(),
    meta: z.record(z.string(), z.unknown()),
  }),
};

const onlyThree = isFour ? {} : {
  ip: z.string().ip(),
  cidr: z.string().cidr(),
  set: z.set(z.string()).max(3),
  map: z.map(z.string(), z.number()),
  dateObject: z.date(),
  bigint: z.bigint(),
  branded: z.string().brand("Id"),
};
const onlyFour = !isFour ? {} : {
  topEmail: z.email(),
  html5Email: z.email({ pattern: z.regexes.html5Email }),
  rfc5322Email: z.email({ pattern: z.regexes.rfc5322Email }),
  unicodeEmail: z.email({ pattern: z.regexes.unicodeEmail }),
  uuidv4: z.uuidv4(),
  uuidv7: z.uuidv7(),
  guid: z.guid(),
  httpUrl: z.url({ protocol: /^https?$/, hostname: z.regexes.domain }),
  ipv4: z.ipv4(),
  ipv6: z.ipv6(),
  cidrv4: z.cidrv4(),
  cidrv6: z.cidrv6(),
  e164: z.e164(),
  xid: z.xid(),
  ksuid: z.ksuid(),
  isoDate: z.iso.date(),
  isoTime: z.iso.time(),
  isoDatetime: z.iso.datetime({ local: true }),
  isoDuration: z.iso.duration(),
  int32: z.int32(),
  uint32: z.uint32(),
  float32: z.float32(),
  float64: z.float64(),
  templateLiteral: z.templateLiteral(["v", z.number(), ".", z.enum(["alpha", "beta"])]),
  stringbool: z.object({ flag: z.boolean() }),
  lowercase: z.string().lowercase(),
  uppercase: z.string().uppercase(),
  hostname: z.string().regex(z.regexes.hostname),
  json: z.json(),
  recursive: z.object({ name: z.string(), get parent() { return z.nullable(z.string()); } }),
};

let write = (type) => z.toJSONSchema(type);
if (!isFour) {
  const { zodToJsonSchema } = await import("zod-to-json-schema");
  write = (type) => zodToJsonSchema(type);
}
const forms = isFour
  ? { "": write, ", input": (type) => z.toJSONSchema(type, { io: "input" }), ", draft 7": (type) => z.toJSONSchema(type, { target: "draft-7" }) }
  : {
      "": write,
      ", for OpenAI": await import("zod-to-json-schema").then(({ zodToJsonSchema }) => (type) => zodToJsonSchema(type, { target: "openAi" })),
      ", for OpenAPI": await import("zod-to-json-schema").then(({ zodToJsonSchema }) => (type) => zodToJsonSchema(type, { target: "openApi3" })),
    };

for (const [name, type] of Object.entries({ ...types, ...onlyThree, ...onlyFour })) {
  for (const [suffix, convert] of Object.entries(forms)) {
    console.log(JSON.stringify({ [name + suffix]: convert(type) }));
  }
}
