{
  # Sources and flags come from native/sources.json, the same list that CMakeLists.txt reads.
  'variables': {
    # Warnings stop the build only where PAGERUN_WERROR=1 asks for it (CI), never in a user's install.
    'werror': '<!(node -p "process.env.PAGERUN_WERROR === \'1\' ? \'-Werror\' : \'-Wno-error\'")',
    # A packed package has no bench/.
    'has_bench': '<!(node -p "require(\'fs\').existsSync(\'bench/native\') ? 1 : 0")',
    'pick': 'node -p "process.argv.slice(1).flatMap((k) => JSON.parse(require(\'fs\').readFileSync(\'native/sources.json\'))[k]).join(\' \')"',
  },
  'target_defaults': {
    'cflags!': ['-fno-omit-frame-pointer', '-Wno-unused-parameter', '-Wall', '-Wextra'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
    'cflags_cc': ['<!@(<(pick) standard flags warnings)', '<(werror)'],
    'include_dirs': ['native'],
    # One build, one set of names: mmap stays mmap.
    'defines!': ['_FILE_OFFSET_BITS=64', '_LARGEFILE_SOURCE'],
  },
  'targets': [
    {
      'target_name': 'pagerun',
      'sources': ['<!@(<(pick) base core textbook node)'],
      # A system header: its warnings are not ours. Seen from build/, as the path of the package may have spaces.
      'cflags_cc': ['-isystem<!(node -p "require(\'path\').relative(\'build\', require(\'node-addon-api\').include_dir)")'],
      'defines': ['NAPI_VERSION=9', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED'],
      'ldflags': ['<!@(<(pick) link_flags)'],
    },
    {
      'target_name': 'libpagerun',
      'type': 'shared_library',
      'product_prefix': 'lib',
      'product_name': 'pagerun',
      'product_dir': '<(PRODUCT_DIR)',
      'sources': ['<!@(<(pick) base core preload)'],
      'cflags_cc': ['<!@(<(pick) preload_flags)'],
      'ldflags': ['<!@(<(pick) link_flags)'],
    },
  ],
  'conditions': [
    ['has_bench == 1', {
      'targets': [
        {
          'target_name': 'pagerun_bench',
          'type': 'executable',
          'sources': ['<!@(<(pick) base textbook bench)'],
        },
        {
          'target_name': 'pagerun_misuse',
          'type': 'executable',
          'sources': ['<!@(<(pick) misuse)'],
          'cflags_cc': ['<!@(<(pick) preload_flags)'],
        },
        {
          'target_name': 'librecorder',
          'type': 'shared_library',
          'product_prefix': 'lib',
          'product_name': 'recorder',
          'product_dir': '<(PRODUCT_DIR)',
          'sources': ['<!@(<(pick) recorder)'],
          'cflags_cc': ['<!@(<(pick) preload_flags recorder_flags)'],
        },
        {
          'target_name': 'libtextbook',
          'type': 'shared_library',
          'product_prefix': 'lib',
          'product_name': 'textbook',
          'product_dir': '<(PRODUCT_DIR)',
          'sources': ['<!@(<(pick) base textbook textbook_preload)'],
          'cflags_cc': ['<!@(<(pick) preload_flags recorder_flags)'],
        },
      ],
    }],
  ],
}
