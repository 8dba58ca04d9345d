'use strict';
// imlib-v4: calls resolve, or reject with a number.
module.exports = ({ load, navi, appKey, report }) => {
  const sdk = load('@rongcloud/imlib-v4');
  const STATES = { 0: 'connected', 1: 'suspended', 2: 'suspended', 3: 'suspended', 6: 'kicked' };
  const seen = m => ({ uid: m.messageUId, time: m.sentTime, type: m.type, target: m.targetId, from: m.senderUserId, mine: m.messageDirection === 1, text: m.content?.content });
  const im = sdk.init({ appkey: appKey, navigators: [navi], logLevel: 4 });
  im.watch({
    message: event => report.shown(seen(event.message)),
    status: event => { if (STATES[event.status]) report.state(STATES[event.status]); },
    conversation() {}, chatroom() {}, expansion() {},
  });
  const conversation = ({ type, target }) => im.Conversation.get({ type, targetId: target });

  return {
    connect: async ({ token }) => (await im.connect({ token })).id,
    disconnect: () => im.disconnect(),
    send: async ({ text, ...where }) => { const sent = await conversation(where).send({ messageType: 'RC:TxtMsg', content: { content: text }, isPersited: true, isCounted: true }); return { uid: sent.messageUId, time: sent.sentTime }; },
    history: async ({ count, ...where }) => (await conversation(where).getMessages({ timestamp: 0, count, order: 0 })).list.map(seen).sort((a, b) => b.time - a.time),
  };
};
