// Prints the JSON schemas of typical TypeBox types, as one JSON object per line that maps a name to
// a schema. The first argument names the package: @sinclair/typebox, or typebox (1.x).

const typebox = await import(process.argv[2]);
const Type = typebox.Type ?? typebox.default;

const Address = Type.Object({ street: Type.String({ minLength: 1 }), zip: Type.String({ pattern: "^\\d{5}$" }) }, { additionalProperties: false });
const Money = Type.Object({ amount: Type.Number({ minimum: 0, multipleOf: 0.01 }), currency: Type.Union([Type.Literal("EUR"), Type.Literal("USD")]) });
const Cat = Type.Object({ kind: Type.Literal("cat"), lives: Type.Integer({ minimum: 0, maximum: 9 }) });
const Dog = Type.Object({ kind: Type.Literal("dog"), weight: Type.Number({ exclusiveMinimum: 0 }) });

const types = {
  address: Address,
  money: Money,
  pet: Type.Union([Cat, Dog]),
  tuple: Type.Tuple([Type.String(), Type.Number()]),
  emptyTuple: Type.Tuple([]),
  record: Type.Record(Type.String(), Type.Number()),
  integerRecord: Type.Record(Type.Integer(), Type.String()),
  enumRecord: Type.Record(Type.Union([Type.Literal("a"), Type.Literal("b")]), Type.Number()),
  patternRecord: Type.Record(Type.String({ pattern: "^x-" }), Type.Boolean()),
  enum: Type.Enum({ Up: "up", Down: "down" }),
  intersect: Type.Intersect([Address, Type.Object({ note: Type.Optional(Type.String()) })]),
  closedIntersect: Type.Intersect([Type.Object({ a: Type.String() }), Type.Object({ b: Type.Number() })], { unevaluatedProperties: false }),
  partial: Type.Partial(Address),
  pick: Type.Pick(Address, ["zip"]),
  omit: Type.Omit(Address, ["zip"]),
  keyOf: Type.KeyOf(Address),
  array: Type.Array(Type.String(), { minItems: 1, maxItems: 4 }),
  unique: Type.Array(Type.Integer(), { uniqueItems: true }),
  uniqueFew: Type.Array(Type.Union([Type.Literal("a"), Type.Literal("b")]), { uniqueItems: true, maxItems: 2 }),
  contains: Type.Array(Type.Integer(), { contains: Type.Literal(1), minContains: 1 }),
  email: Type.String({ format: "email" }),
  datetime: Type.String({ format: "date-time" }),
  phone: Type.String({ format: "phone" }),
  template: Type.TemplateLiteral("v${number}.${string}"),
  nullable: Type.Union([Type.String(), Type.Null()]),
  not: Type.Not ? Type.Not(Type.String()) : Type.Unknown(),
  any: Type.Any(),
  unknown: Type.Unknown(),
  never: Type.Never(),
  bigRange: Type.Integer({ minimum: 1, maximum: 9007199254740991 }),
  step: Type.Number({ multipleOf: 0.05 }),
  defaulted: Type.Object({ name: Type.String({ default: "x" }), tags: Type.Optional(Type.Array(Type.String(), { default: [] })) }),
  order: Type.Object({
    id: Type.String({ format: "uuid" }),
    lines: Type.Array(Type.Object({ sku: Type.String(), price: Money, quantity: Type.Integer({ minimum: 1 }) }), { minItems: 1 }),
    ship: Address,
    pets: Type.Optional(Type.Array(Type.Union([Cat, Dog]))),
  }),
};

for (const [name, type] of Object.entries(types)) {
  console.log(JSON.stringify({ [name]: type }));
}
