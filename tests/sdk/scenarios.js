'use strict';
// What every SDK must see. Each scenario gets fresh users; `stage` makes terminals and knows the backend.
const assert = require('node:assert/strict');

const PRIVATE = 1, GROUP = 3;

/** Signs two users in, each on a terminal of this SDK. */
async function two(stage) {
  const [alice, bob] = [stage.id('alice'), stage.id('bob')];
  const [a, b] = await Promise.all([stage.online(alice), stage.online(bob)]);
  return { alice, bob, a, b };
}

module.exports = {
  'a user connects with a token and is told who it is': async stage => {
    const user = stage.id('user');
    const terminal = stage.terminal();
    assert.equal(await terminal.connect(await stage.backend.token(user)), user);
  },

  'messages go both ways, once, in order, with the UID and time of their acks': async stage => {
    const { alice, bob, a, b } = await two(stage);
    const there = [];
    for (let n = 0; n < 5; n++) there.push(await a.send({ type: PRIVATE, target: bob }, `there ${n} 你好 😀`));
    const back = await b.send({ type: PRIVATE, target: alice }, 'back');
    const last = await b.sees(there.at(-1).uid);
    assert.deepEqual({ from: last.from, target: last.target, time: last.time, mine: last.mine }, { from: alice, target: alice, time: there.at(-1).time, mine: false });
    assert.equal((await a.sees(back.uid)).text, 'back');
    assert.deepEqual(b.shown.map(message => message.text), there.map((_, n) => `there ${n} 你好 😀`));
    assert.deepEqual(there.map(sent => sent.time), there.map(sent => sent.time).sort((x, y) => x - y));
  },

  'what came while a user was away is there when it comes back, once and in order': async stage => {
    const { alice, bob, a, b } = await two(stage);
    await b.disconnect();
    const sent = [];
    for (let n = 0; n < 30; n++) sent.push(await a.send({ type: PRIVATE, target: bob }, `away ${n}`));
    const again = await stage.online(bob);
    await again.sees(sent.at(-1).uid);
    assert.deepEqual(again.shown.map(message => message.uid), sent.map(message => message.uid));
    assert.ok(again.shown.every(message => message.from === alice));
  },

  'a group message reaches every member but its sender': async stage => {
    const users = ['one', 'two', 'three'].map(name => stage.id(name)), group = stage.id('group');
    await stage.backend.createGroup(group, users);
    const [one, ...others] = await Promise.all(users.map(user => stage.online(user)));
    const sent = await one.send({ type: GROUP, target: group }, 'to all');
    for (const other of others) {
      const message = await other.sees(sent.uid);
      assert.deepEqual({ type: message.type, target: message.target, from: message.from, text: message.text }, { type: GROUP, target: group, from: users[0], text: 'to all' });
    }
    assert.deepEqual(one.shown, []);
  },

  'what the backend sends, with settings for the notification, is shown online and to who comes later': async stage => {
    const { bob, b } = await two(stage);
    const fields = { fromUserId: 'boss', toUserId: bob, objectName: 'RC:TxtMsg', pushContent: 'p', pushData: 'd' };
    const pushExt = JSON.stringify({ title: 't', pushConfigs: [{ HW: { channelId: 'c' } }], templateId: '7' });
    const publish = async text => (await stage.backend.call('/message/private/publish', { ...fields, content: JSON.stringify({ content: text }), pushExt })).messageUIDs[0].messageUID;
    assert.equal((await b.sees(await publish('online'))).text, 'online');
    await b.disconnect();
    const later = await publish('later');
    const again = await stage.online(bob);
    assert.equal((await again.sees(later)).text, 'later');
  },

  'history gives both sides of a conversation, newest first': async stage => {
    const { alice, bob, a, b } = await two(stage);
    const sent = [];
    for (let n = 0; n < 4; n++) sent.push(n % 2 ? await b.send({ type: PRIVATE, target: alice }, `line ${n}`) : await a.send({ type: PRIVATE, target: bob }, `line ${n}`));
    await stage.until('history has all', async () => (await a.history({ type: PRIVATE, target: bob }, 20)).length === sent.length);
    const page = await a.history({ type: PRIVATE, target: bob }, 3);
    assert.deepEqual(page.map(message => message.uid), sent.map(message => message.uid).reverse().slice(0, 3));
    assert.deepEqual(page.map(message => message.mine), [false, true, false]);
  },

  'a second terminal of the same kind ends the first, which stays away': async stage => {
    const user = stage.id('user'), token = await stage.backend.token(user);
    const first = stage.terminal();
    await first.connect(token);
    const second = stage.terminal();
    assert.equal(await second.connect(token), user);
    await first.becomes('kicked');
    const other = await stage.online(stage.id('other'));
    const sent = await other.send({ type: PRIVATE, target: user }, 'to the second');
    await second.sees(sent.uid);
    assert.deepEqual(first.shown, []);
  },
};
