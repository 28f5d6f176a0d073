// A database in memory: inserts in transactions, then results of many rows, of which little is kept.
import { randomFrom } from "../support/random.mjs";
import { rest } from "../support/rest.mjs";

/** better-sqlite3 13 needs Node.js 22; the last 12 is built for what is older. */
const isOld = Number(process.versions.node.split(".")[0]) < 22;
const { default: Database } = await import(isOld ? "better-sqlite3-12" : "better-sqlite3");

const transactions = 40;
const rows = 2000;
const queries = 60;
const random = randomFrom(2);

let db = new Database(":memory:");
db.exec("create table orders (id integer primary key, customer integer, note text, body blob)");
db.exec("create index by_customer on orders (customer)");
const insert = db.prepare("insert into orders (customer, note, body) values (?, ?, ?)");
const insertMany = db.transaction(() => {
  for (let row = 0; row < rows; row++)
    insert.run(random(500), `order ${row} ${"x".repeat(random(200))}`, Buffer.alloc(20 + random(1500), row));
});
for (let transaction = 0; transaction < transactions; transaction++) insertMany();

let seen = 0;
const select = db.prepare("select * from orders where customer between ? and ? order by note");
for (let query = 0; query < queries; query++) {
  const from = random(450);
  seen += select.all(from, from + 40).length;
}
db.exec("delete from orders where id % 3 != 0");
db.exec("vacuum");
db.close();
db = undefined;
console.log(`${seen} rows were read`);
await rest();
