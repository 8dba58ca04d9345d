'use strict';
// The app's backend: the few signed calls that the suite needs.
const { createHash, randomInt } = require('node:crypto');

class Backend {
  constructor({ api, appKey, appSecret }) { Object.assign(this, { api, appKey, appSecret }); }

  async call(path, fields) {
    const nonce = String(randomInt(1e9)), timestamp = String(Date.now());
    const signature = createHash('sha1').update(this.appSecret + nonce + timestamp).digest('hex');
    const form = new URLSearchParams();
    for (const [name, values] of Object.entries(fields)) for (const value of [values].flat()) form.append(name, value);
    const answer = await fetch(`${this.api}${path}.json`, { method: 'POST', body: form, headers: { 'App-Key': this.appKey, Nonce: nonce, Timestamp: timestamp, Signature: signature } });
    const body = await answer.json();
    if (answer.status !== 200 || body.code !== 200) throw new Error(`${path} answered ${answer.status} ${JSON.stringify(body)}`);
    return body;
  }

  async token(userId) { return (await this.call('/user/getToken', { userId, name: userId, portraitUri: '' })).token; }
  createGroup(groupId, members) { return this.call('/group/create', { userId: members, groupId, groupName: groupId }); }
}

module.exports = { Backend };
